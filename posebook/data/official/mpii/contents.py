"""What a folder holds of MPII."""

from pathlib import Path

from posebook.data.formats.files import picture_size
from posebook.data.official.mpii.load import annotations, people_of
from posebook.data.official.mpii.records import SOURCE, as_records
from posebook.data.official.overlays import sample_of
from posebook.data.official.report import Report


def check(folder: Path) -> Report:
    """What is in `folder`, against the official counts."""
    report = Report(SOURCE, folder)
    try:
        form, places = annotations(folder)
        report.found += [str(path.relative_to(folder)) for path in places]
        train, valid, counts = people_of(form, places)
        report.counts += counts
        stills = as_records(folder, train, valid)
    except (ValueError, OSError) as problem:
        report.add_errors([problem])
        return report
    if form == "mat" and len(places) == 1:
        report.notes.append(
            "no detections.mat: every tenth picture is held out, which is not the split of the "
            "published numbers"
        )
    if form == "json":
        report.notes.append("joints_vis says what is labelled; what can be seen is not known")
    errors: list[Exception] = []
    for record in stills:
        report.notes.append(
            f"{record.split}: {len(record):,} people in {len(set(record.pictures)):,} pictures, "
            f"{100 * (~record.annotated).mean():.1f} % of the joints unlabelled"
        )
        for at in range(0, len(record), max(1, len(record) // 4))[:4]:
            try:
                picture_size(record.pictures[at])
            except ValueError as problem:
                errors.append(problem)
                continue
            name = f"{record.split} {record.pictures[at].name}"
            report.samples += sample_of(record, at, name, report)
    report.add_errors(errors)
    return report
