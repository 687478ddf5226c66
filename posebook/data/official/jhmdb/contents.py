"""What a folder holds of sub-JHMDB."""

from pathlib import Path

from tqdm.auto import tqdm

from posebook.data.official.jhmdb.clips import read_clip, recovered_scale
from posebook.data.official.jhmdb.coco import is_coco
from posebook.data.official.jhmdb.facts import CLIPS, FRAMES, SOURCE
from posebook.data.official.jhmdb.folders import mat_of
from posebook.data.official.jhmdb.load import load_clips
from posebook.data.official.jhmdb.splits import read_split
from posebook.data.official.overlays import sample_of
from posebook.data.official.report import Report
from posebook.data.records import VideoClip


def check(folder: Path) -> Report:
    """What is in `folder`, against the official counts; the clips of all three splits are read."""
    report = Report(SOURCE, folder)
    clips: dict[str, VideoClip | None] = {}
    errors: list[Exception] = []
    for split, official in CLIPS.items():
        try:
            found = _check_split(folder, split, clips, report, errors)
        except (ValueError, OSError) as problem:
            errors.append(problem)
            continue
        for part, count, wanted in zip(("train", "test"), found, official, strict=True):
            report.counts.append((f"split {split}, clips for {part}", count, wanted))
    report.add_errors(errors)
    clips = {name: clip for name, clip in clips.items() if clip}
    report.counts.append(("clips", len(clips), sum(CLIPS[1])))
    report.counts.append(("frames", sum(map(len, clips.values())), FRAMES))
    if clips and not is_coco(folder):
        _check_scale(folder, clips, report)
    some = [clips[name] for name in sorted(clips)]
    for clip in some[:: max(1, len(some) // 8)][:8]:
        report.samples += sample_of(clip, len(clip) // 2, clip.name, report)
    return report


def _check_split(
    folder: Path,
    split: int,
    clips: dict[str, VideoClip | None],
    report: Report,
    errors: list[Exception],
) -> tuple[int, int]:
    """Counts of training and test clips; new ones are added to `clips`, None if unreadable."""
    if is_coco(folder):
        parts = load_clips(folder, split)
        clips.update({clip.name: clip for part in parts for clip in part})
        report.found.append(f"annotations of mmpose, split {split}")
        return len(parts[0]), len(parts[1])
    entries = read_split(folder, split)
    report.found.append(f"sub_splits of 12 actions, split {split}")
    new = [entry for entry in entries if entry.name not in clips]
    for entry in tqdm(new, desc=f"split {split}", unit="clip", delay=5):
        clips[entry.name] = None
        try:
            clips[entry.name] = read_clip(folder, entry)
        except (ValueError, OSError) as problem:
            errors.append(problem)
    train = sum(entry.part == "train" for entry in entries)
    return train, len(entries) - train


def _check_scale(folder: Path, clips: dict[str, VideoClip], report: Report) -> None:
    """Whether pos_world says the same as pos_img, over all clips that were read."""
    old, worst = 0, (0.0, "")
    for clip in clips.values():
        mat = mat_of(folder, "joint_positions", Path(clip.action) / clip.name)
        old += "scale" not in mat
        if "pos_world" in mat:
            worst = max(worst, (recovered_scale(mat)[1], clip.name))
    if old:
        report.notes.append(
            f"{old} of {len(clips)} joint files are of the release of 2013, without scale and "
            "viewpoint; nothing here needs them"
        )
    if 0 < old < len(clips):
        report.problem(
            "joint files of two releases are mixed",
            "unpack one joint_positions.zip into an empty folder",
        )
    if worst[0] > 1:
        report.problem(
            f"pos_img and pos_world of {worst[1]} differ by {worst[0]:.1f} px",
            "their axes are swapped or they are of different clips: unpack joint_positions.zip "
            "into an empty folder",
        )
