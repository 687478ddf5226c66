"""Records by the name of a data set, embedded or official: what chapters 2 to 4 are trained on.

Where the official ones lie says `posebook.data.official.folders`; what must lie there, the module
of each. That is imported only where it is wanted.
"""

import os

from posebook.data.captured.clips import read_clips
from posebook.data.official.folders import data_folder, module_of
from posebook.data.recorded.views import SOURCE as EMBEDDED_VIEWS
from posebook.data.recorded.views import ViewsSize, make_views
from posebook.data.records import ImageSet, VideoClip, ViewSequence
from posebook.data.rendered import clips as embedded_clips
from posebook.data.rendered.store import SIZES
from posebook.data.rendered.store import SOURCE as EMBEDDED_VIDEO
from posebook.results.provenance import data_digest

# The embedded generator on motion that a reader brings, in the file that this variable names.
OWN_VIEWS, OWN_MOTION = "own-motion", "POSEBOOK_MOTION"
GENERATED_VIEWS = (EMBEDDED_VIEWS, OWN_VIEWS)
OFFICIAL_VIEWS = ("human36m", "human36m-gt", "mpi-inf-3dhp")
OFFICIAL_CLIPS = {"sub-jhmdb": "jhmdb", "penn-action": "penn-action"}  # name: folder
OFFICIAL_STILLS = "mpii"  # pre-train the base network, whatever the clips


def refuse_absent(dataset: str, stills: bool = False) -> None:
    """Nothing where all that a data set needs is installed.

    Args:
        stills: pictures of single people are wanted too.

    Raises:
        FileNotFoundError: with the remedy, where a folder is missing; at once, whereas the clips
            of a data set take minutes to read.
    """
    if dataset == OWN_VIEWS:
        own_motion()
    if dataset in OFFICIAL_VIEWS:
        data_folder(dataset.removesuffix("-gt"))
    if dataset in OFFICIAL_CLIPS:
        data_folder(OFFICIAL_CLIPS[dataset])
        if stills:
            data_folder(OFFICIAL_STILLS)


def own_motion():
    """The reader's clips. Raises FileNotFoundError or ValueError, with the remedy, without them."""
    if not os.environ.get(OWN_MOTION):
        raise FileNotFoundError(
            f"{OWN_VIEWS} is motion of your own: make a file of it with `python -m posebook "
            f"motion` and name it with --motion FILE.npz, or in the variable {OWN_MOTION}"
        )
    return read_clips(os.environ[OWN_MOTION])


def motion_of(dataset: str) -> dict[str, str]:
    """The digest of the reader's own motion, where a data set is made of it: other motion is
    another run."""
    if dataset != OWN_VIEWS:
        return {}
    return {"motion": data_digest({clip.name: clip.joints for clip in own_motion()})}


def load_views(
    dataset: str,
    size: ViewsSize,
    split: str = "subjects",
    noise: str = "full",
    headings: str = "all",
) -> tuple[list[ViewSequence], list[ViewSequence]]:
    """Training and test sequences of a data set of synchronised views.

    Args:
        dataset: "embedded-views" or "own-motion", of this `size`, `split`, `noise` and
            `headings`; "human36m" (detected 2D), "human36m-gt" or "mpi-inf-3dhp", which have
            their own.

    Raises:
        FileNotFoundError, ValueError: with the remedy if files are missing or wrong.
    """
    if dataset == EMBEDDED_VIEWS:
        return make_views(size, split, noise, headings=headings)
    if dataset == OWN_VIEWS:
        return make_views(size, split, noise, headings=headings, clips=own_motion())
    return _official_views(dataset)


def _official_views(dataset: str) -> tuple[list[ViewSequence], list[ViewSequence]]:
    if dataset in ("human36m", "human36m-gt"):
        module = module_of("human36m")
        detections = "gt" if dataset == "human36m-gt" else module.CPN
        return module.load_views(data_folder("human36m"), detections)
    if dataset == "mpi-inf-3dhp":
        return module_of(dataset).load_views(data_folder(dataset))
    known = ", ".join((*GENERATED_VIEWS, *OFFICIAL_VIEWS))
    raise ValueError(f"{dataset!r} is no data set of views; known: {known}")


def load_clips(
    dataset: str, size: str, joints: str = "jhmdb15", split: int = 1
) -> tuple[list[VideoClip], list[VideoClip]]:
    """Training and test clips of a split of "embedded-video", "sub-jhmdb" or "penn-action".

    Args:
        size, joints: of the embedded clips; the official ones have their own. Raises as
            `load_views`.
    """
    if dataset == EMBEDDED_VIDEO:
        return embedded_clips.make_clips(SIZES[size], joints, split)
    folder = _folder_of_clips(dataset)
    return module_of(folder).load_clips(data_folder(folder), split)


def load_stills(dataset: str, size: str) -> tuple[list[ImageSet], list[ImageSet]]:
    """Training and test pictures of single people that go with a data set of clips.

    With the official ones it is MPII's people, those for validation in the place of the test.
    Raises as `load_views`.
    """
    if dataset == EMBEDDED_VIDEO:
        return tuple([part] for part in embedded_clips.make_stills(SIZES[size], "jhmdb15"))
    _folder_of_clips(dataset)
    stills = module_of(OFFICIAL_STILLS).load_stills(data_folder(OFFICIAL_STILLS))
    return tuple([part] for part in stills)


def _folder_of_clips(dataset: str) -> str:
    if dataset not in OFFICIAL_CLIPS:
        known = ", ".join((EMBEDDED_VIDEO, *OFFICIAL_CLIPS))
        raise ValueError(f"{dataset!r} is no data set of clips; known: {known}")
    return OFFICIAL_CLIPS[dataset]
