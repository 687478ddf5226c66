"""Chapter 2's rows as data: what is trained, on what, and for how long.

Training has two steps (section 2.8.2). The base network learns on stills
(`posebook.video.base_network`); then its encoder is frozen, and what a variant adds is trained on
clips, with every frame a target. A variant says what makes a row of a table; a profile says how
large everything is.
"""

from dataclasses import dataclass, replace

from posebook.data.done import refuse_idle
from posebook.data.sources import EMBEDDED_VIDEO, OFFICIAL_CLIPS

DATASETS = (EMBEDDED_VIDEO, *OFFICIAL_CLIPS)
STRIDES = (1, 3, 5, 7, 9)  # Figure 2.9 (b)
BASE_SEED = 0  # of the base network, whatever the seed of a row


@dataclass(frozen=True)
class Variant:
    """What makes a row.

    Attributes:
        front, directions, separate, residual, added, reduce: see `VideoNetwork`.
        aggregation, start, offsets: see `TCE`.
        flow: average heatmaps along the optical flow.
        loss: "heatmap", "integral" or "regression".
        erasing: random erasing in the second step.
        N: neighbours at either side.
        stride: frames from one neighbour to the next.
        ends: beyond the ends of a clip, "repeat" the end frame or "truncate" the window.
        pretrained: base network from "stills", or without any from the "clips" alone.
        trained: False to measure the base network as it is.
        cached: False to encode fresh augmentations at each step.
        longer: trained for the profile's `long_steps`, on `long_copies`.
        also: what else is measured: "curves", "stream", "strides", "broken" (repeated and lost
            frames), "near" (hidden joints that are seen within six frames).
    """

    front: str = "single"
    aggregation: str = "lstm"
    directions: int = 2
    flow: bool = False
    loss: str = "heatmap"
    erasing: bool = True
    N: int = 6
    stride: int = 1
    start: str = "features"
    offsets: str = "state"
    separate: bool = False
    residual: bool = False
    added: bool = False
    reduce: int = 4
    ends: str = "repeat"
    pretrained: str = "stills"
    joints: str = "jhmdb15"
    split: int = 1
    trained: bool = True
    cached: bool = True
    longer: bool = False
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        module = self.front not in ("none", "pyramid")
        neighbours = (module or self.flow, "a row that sees neighbours (a TCE module, or flow)")
        readers = {name: neighbours for name in ("N", "stride")} | {
            name: (module, "a row with a TCE module (front 'single', 'same' or 'multi')")
            for name in (
                "ends", "aggregation", "directions", "start", "offsets", "separate", "reduce",
            )
        }
        refuse_idle(self, readers)
        if self.ends == "truncate" and self.start != "features":
            raise ValueError("ends='truncate' needs start='features': zeros are no frame's")

    @property
    def temporal(self) -> bool:
        """Whether other frames than the target have a say."""
        return self.flow or (self.front not in ("none", "pyramid") and self.N > 0)

    @property
    def shifts(self) -> bool:
        """Whether maps are moved along predicted offsets."""
        return self.trained and self.temporal and not self.flow and self.offsets != "none"


_BC = Variant()
# With the pyramid's + X, which equation 2.11 leaves out; `ms-literal` is to the letter.
_MS = Variant(front="multi", residual=True)
_FRAME = Variant(front="none")
_FRAME_LONGER, _BC_LONGER = (replace(row, longer=True, also=("near",)) for row in (_FRAME, _BC))
VARIANTS: dict[str, Variant] = {
    # The base network after its first step, before it has seen a clip
    "base": replace(_FRAME, front="pyramid", trained=False),
    "base-clips": replace(_FRAME, front="pyramid", trained=False, pretrained="clips"),
    # Table 2.3, all with random erasing
    "res50": replace(_FRAME, also=("curves",)),
    "res50-sp": replace(_FRAME, front="pyramid"),
    "res50-of": replace(_FRAME, flow=True, also=("curves",)),
    "res50-tce-s": replace(_BC, aggregation="sum", directions=1),
    "res50-tce-c": replace(_BC, directions=1),
    "res50-tce-bc": replace(_BC, also=("curves", "stream", "strides", "broken")),
    # Table 2.5; the rows with erasing carry -re, and res50-tce-bc-re is Table 2.3's res50-tce-bc
    "res50-ms-tce-bc-re": replace(_MS, also=("curves", "stream", "broken")),
    "res50-ss-tce-bc-re": replace(_MS, front="same"),
    "res50-tce-bc-no-re": replace(_BC, erasing=False),
    "res50-ms-tce-bc": replace(_MS, erasing=False),
    "res50-ss-tce-bc": replace(_MS, front="same", erasing=False),
    # Table 2.4; the heatmap rows are Table 2.3's
    "res50-regression": replace(_FRAME, loss="regression"),
    "res50-integral": replace(_FRAME, loss="integral"),
    "res50-tce-bc-regression": replace(_BC, loss="regression"),
    "res50-tce-bc-integral": replace(_BC, loss="integral"),
    # Equation 2.11 as printed
    "ms-literal": replace(_MS, residual=False),
    # Tables 2.1 and 2.2
    "ours": replace(_MS, pretrained="clips"),
    "ours-split2": replace(_MS, split=2),
    "ours-split3": replace(_MS, split=3),
    "ours-penn13": replace(_MS, joints="penn13", also=("curves",)),
    "ours-penn13-clips": replace(_MS, joints="penn13", pretrained="clips"),
    # Figure 2.9 (a) and (b); N = 0 is res50, N = 6 is res50-tce-c and res50-tce-bc
    **{
        f"{name}-n{N}": replace(_BC, directions=directions, N=N)
        for N in (2, 4, 8)
        for name, directions in (("one-direction", 1), ("both-directions", 2))
    },
    **{f"stride{stride}": replace(_BC, stride=stride) for stride in STRIDES[1:]},
    # Where the thesis is silent, or something is left away; beside it the module as built (Table
    # 2.3's res50-tce-bc), from the same base network as these rows
    "as-built": _BC,
    "no-deformation": replace(_BC, offsets="none"),
    "offsets-of-both": replace(_BC, offsets="both"),
    "start-at-zero": replace(_BC, start="zeros"),
    "truncated-ends": replace(_BC, ends="truncate"),
    "separate-directions": replace(_BC, separate=True),
    "half-width": replace(_BC, reduce=8),
    "double-width": replace(_BC, reduce=2),
    "fresh-augmentation": replace(_BC, cached=False),
    # Table 2.3 and the full model, trained until they have learned; beside them single frames
    # behind the narrow map of a single scale, and a module that begins as nothing added
    "res50-longer": _FRAME_LONGER,
    "res50-reduced-longer": replace(_BC_LONGER, aggregation="sum", directions=1, N=0),
    "res50-of-longer": replace(_FRAME_LONGER, flow=True),
    "res50-tce-s-longer": replace(_BC_LONGER, aggregation="sum", directions=1),
    "res50-tce-c-longer": replace(_BC_LONGER, directions=1),
    "res50-tce-bc-longer": _BC_LONGER,
    "res50-tce-bc-added-longer": replace(_BC_LONGER, added=True),
    "res50-ms-tce-bc-re-longer": replace(_BC_LONGER, front="multi", residual=True),
    # One direction that begins as nothing added, and single frames on the same base network
    "frames-longer": _FRAME_LONGER,
    "tce-s-added-longer": replace(_BC_LONGER, aggregation="sum", directions=1, added=True),
    "tce-c-added-longer": replace(_BC_LONGER, directions=1, added=True),
}  # fmt: skip

# What is run, in this order.
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "base-network": ("base", "base-clips"),
    "table-2.3": ("res50", "res50-sp", "res50-of", "res50-tce-s", "res50-tce-c", "res50-tce-bc"),
    "table-2.5": (
        "res50-ms-tce-bc-re", "res50-ss-tce-bc-re", "res50-tce-bc-no-re", "res50-ms-tce-bc",
        "res50-ss-tce-bc",
    ),
    "literal-2.5": ("ms-literal",),
    "table-2.4": (
        "res50-regression", "res50-integral", "res50-tce-bc-regression", "res50-tce-bc-integral",
    ),
    "figure-2.9": (
        *(f"{name}-n{N}" for N in (2, 4, 8) for name in ("one-direction", "both-directions")),
        "stride9",
    ),
    "figure-2.9-between": ("stride3", "stride5", "stride7"),
    "table-2.1": ("ours", "ours-split2", "ours-split3"),
    "table-2.2": ("ours-penn13", "ours-penn13-clips"),
    "tce-choices": (
        "as-built", "no-deformation", "offsets-of-both", "start-at-zero", "truncated-ends",
        "separate-directions", "half-width", "double-width", "fresh-augmentation",
    ),
    "longer-2.3": (
        "res50-longer", "res50-reduced-longer", "res50-of-longer", "res50-tce-s-longer",
        "res50-tce-c-longer", "res50-tce-bc-longer", "res50-tce-bc-added-longer",
        "res50-ms-tce-bc-re-longer",
    ),
    "added-2.3": ("frames-longer", "tce-s-added-longer", "tce-c-added-longer"),
}  # fmt: skip

# Experiments, and rows, on which no claim of the thesis rests: how often they are run at most.
FEWER_SEEDS = dict.fromkeys(
    ("base-network", "ours-split2", "ours-split3", "figure-2.9-between"), 1
)


@dataclass(frozen=True)
class BaseSettings:
    """Size of the base network and of its training.

    Attributes:
        width: of the encoder, see `posebook.video.backbone.Encoder`.
        blocks: of the encoder.
        crop: pixels.
        sigma: of the peaks, in cells.
        imagenet: start from ImageNet's weights, which torchvision then downloads.
        schedule: of the learning rate; or, as in the thesis, shares of the run after which it
            drops.
        epochs: where above 0 they set the steps, by the size of the data.
    """

    width: int
    blocks: int
    crop: int
    decoder_width: int
    dilations: tuple[int | None, ...]
    sigma: float
    steps: int
    batch: int
    learning_rate: float
    schedule: str | tuple[float, ...]
    imagenet: bool = False
    epochs: int = 0



@dataclass(frozen=True)
class Profile:
    """How large an experiment is.

    A batch is `segments` stretches of `length` neighbouring targets, each from one clip with one
    augmentation: neighbours share most frames of their windows.

    Attributes:
        copies: augmented copies of each clip in the feature cache; 0 for none, encoding fresh ones
            at each step.
        evaluations: how often the test split is looked at in training.
        epochs: where above 0 they set the steps.
        long_steps: of rows that train longer; 0 for as many as all others.
        long_copies: of the same rows.
    """

    size: str
    base: BaseSettings
    steps: int
    segments: int
    length: int
    learning_rate: float
    schedule: str | tuple[float, ...]
    copies: int
    evaluations: int = 4
    epochs: int = 0
    long_steps: int = 0
    long_copies: int = 0


_LAPTOP = BaseSettings(32, 1, 128, 48, (None, 1, 2, 3), 2.0, 21000, 16, 3e-3, "one-cycle")
_SMOKE = replace(_LAPTOP, width=8, crop=64, decoder_width=16, steps=100, batch=8)
# Section 2.8.2: a tenth of the rate after each of the drops; `paper` also has its epochs, 140 on
# stills and 50 on clips.
_THESIS = BaseSettings(
    64, 2, 256, 256, (None, 1, 2, 4), 2.0, 26000, 32, 1e-3, (90 / 140, 120 / 140)
)  # fmt: skip

PROFILES: dict[str, Profile] = {
    "smoke": Profile("smoke", _SMOKE, 40, 2, 4, 2e-3, "one-cycle", 2, 2),
    "laptop": Profile(
        "laptop", _LAPTOP, 500, 4, 4, 2e-3, "one-cycle", 6, long_steps=2000, long_copies=12
    ),
    # Eight times the steps. The width stays: base networks take most of the time, and the thesis'
    # own are twice as wide, not eight times.
    "night": Profile("laptop", _LAPTOP, 4000, 4, 4, 2e-3, "one-cycle", 12),
    "gpu": Profile("full", _THESIS, 10000, 3, 8, 1e-3, (20 / 50, 40 / 50), 0),
    "paper": Profile(
        "full", replace(_THESIS, epochs=140), 10000, 3, 8, 1e-3, (20 / 50, 40 / 50), 0, epochs=50
    ),
}


def length_of(profile: Profile, variant: Variant) -> tuple[int, int]:
    """Steps of training of a row, and on how many augmented copies."""
    if variant.longer and profile.long_steps:
        return profile.long_steps, profile.long_copies
    return profile.steps, profile.copies


def in_steps(profile: Profile, frames: int) -> Profile:
    """A profile whose epochs, if it counts in them, are steps over so many training frames."""
    if not profile.epochs:
        return profile
    return replace(
        profile, steps=profile.epochs * max(1, frames // (profile.segments * profile.length))
    )
