"""What a folder holds of Human3.6M."""

from pathlib import Path

import numpy as np

from posebook.data.official.folders import has, other_form
from posebook.data.official.human36m.fit import distances
from posebook.data.official.human36m.load import OTHER_FORMS, counts, gaps, read_all
from posebook.data.official.human36m.takes import CAMERAS, TEST_SUBJECTS, TRAIN_SUBJECTS
from posebook.data.official.overlays import overlays
from posebook.data.official.report import Report


def check(folder: Path) -> Report:
    """What a folder holds of Human3.6M; see `posebook.data.official.report`."""
    folder = Path(folder)
    report = Report("human36m", folder)
    names = sorted(entry.name for entry in folder.iterdir())
    found = [n[13:-4] for n in names if n.lower().startswith("data_2d_h36m_") and n[-4:] == ".npz"]
    for path in (folder / f"{n}" for n in names if n.endswith((".npz", ".pkl"))):
        report.found.append(
            f"{path.name}, {path.stat().st_size / 1e6:,.1f} MB"
            if path.exists()
            else f"{path.name}, a link that leads nowhere"
        )
    if "annotation_body3d" in names:
        report.found.append("annotation_body3d (mmpose)")
        report.notes.append(
            "cameras.pkl is not read: the published numbers are used, whose lens order is known"
        )
        if not has(folder / "annotation_body3d", "fps50"):
            report.notes.append("fps10 has a fifth of the frames; make fps50 for all of them")
        found = found or ["gt"]
    elif "data_3d_h36m.npz" not in (name.lower() for name in names):
        report.missing.append("data_3d_h36m.npz (VideoPose3D) or annotation_body3d (mmpose)")
    other = other_form(folder, OTHER_FORMS)
    if other and report.missing:
        report.problem(*other.split("; ", 1))
    elif other:
        report.notes.append(other)
    if not found:
        report.missing.append("2D joints: data_2d_h36m_gt.npz, data_2d_h36m_cpn_ft_h36m_dbb.npz")
    for detections in found if not report.missing else ():
        _check_detections(report, folder, detections)
    return report


def _check_detections(report: Report, folder: Path, detections: str) -> None:
    faults: list[Exception] = []
    try:
        sequences = read_all(folder, detections, faults)
    except (ValueError, OSError) as problem:
        faults.append(problem)
        sequences = []
    anew = f"put a whole and unchanged file in its place ({detections})"
    report.add_errors(faults, otherwise=anew)
    if not sequences:
        return
    report.missing += [f"{detections}: {gap}" for gap in gaps(sequences)]
    far = np.concatenate([distances(s) for s in sequences])
    report.found.append(
        f"{detections}: {len(sequences)} takes of {len(CAMERAS)} views, "
        f"{np.median(far):.2f} px from the projected 3D joints (worst take {far.max():.1f} px)"
    )
    report.counts += [(f"{detections}, pictures of {p}", n, o) for p, n, o in counts(sequences)]
    if "swapped" in sequences[0].source:
        report.notes.append(
            f"{detections}: made with the tangential distortion in the wrong order (up to 1.1 px); "
            "read with the same order, so rays are right"
        )
    if "no confidences" in sequences[0].source:
        report.notes.append(f"{detections}: has no confidences; all weights w are 1")
    report.notes.append(f"{detections}: S11 Directions is left out, its video is corrupt")
    for subjects in (TRAIN_SUBJECTS, TEST_SUBJECTS):
        for sequence in [s for s in sequences if s.subject in subjects][:1]:
            report.samples += overlays(sequence, f"{detections} ")
