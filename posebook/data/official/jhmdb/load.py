"""The clips of a split of sub-JHMDB, from either form."""

from pathlib import Path

from tqdm.auto import tqdm

from posebook.data.official.jhmdb.clips import read_clip
from posebook.data.official.jhmdb.coco import is_coco, read_coco, refuse_overlap
from posebook.data.official.jhmdb.facts import CLIPS
from posebook.data.official.jhmdb.splits import read_split
from posebook.data.records import VideoClip


def load_clips(folder: Path, split: int = 1) -> tuple[list[VideoClip], list[VideoClip]]:
    """Training and test clips of one split, in alphabetical order, pictures as paths.

    The three splits are three experiments: one's training clips are another's test, so they are
    never pooled.

    Raises:
        ValueError, FileNotFoundError: with file, field and remedy.
    """
    if split not in CLIPS:
        raise ValueError(f"sub-JHMDB has splits 1, 2 and 3, not {split!r}")
    if is_coco(folder):
        parts = [read_coco(folder, split, part) for part in ("train", "test")]
        refuse_overlap(*parts, folder)
        return parts[0], parts[1]
    entries = read_split(folder, split)
    bar = tqdm(entries, desc=f"sub-JHMDB split {split}", unit="clip", delay=5)
    clips = [read_clip(folder, entry) for entry in bar]
    return tuple([clip for clip in clips if clip.split == part] for part in ("train", "test"))
