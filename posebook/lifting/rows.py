"""Chapter 3's rows as data: what is trained, on what, and for how long.

A variant says what makes a row of a table; a profile says how large everything is.
"""

from dataclasses import dataclass, replace

from posebook.data.done import refuse_idle
from posebook.data.sources import GENERATED_VIEWS, OFFICIAL_VIEWS, ViewsSize
from posebook.lifting.consensus import Teacher
from posebook.lifting.samples import Changes
from posebook.lifting.student import Reading

DATASETS = (*GENERATED_VIEWS, *OFFICIAL_VIEWS)
LAMBDA = {"mpi-inf-3dhp": 1.5}  # of equation 3.7; 1 elsewhere (section 3.5)
# Experiments on which no claim of the thesis rests: how often they are run at most.
FEWER_SEEDS = {"ablation-beyond-3": 3}


@dataclass(frozen=True)
class Variant:
    """What makes a row.

    Table 3.3 taken apart: a loss with 3D labels compares poses relative to the root in space. With
    compare_in "pictures" it is equation 3.7 that trains, and with root_from_labels the labels say
    where the root is, not the branch; compare_in "space" with the branch's root compares global
    poses.

    Section 3.5 to the letter: projection "plain" is equation 3.1 as printed, pole and all, and
    max_norm None leaves the gradient as it is.

    Attributes:
        backbone: "linear", or on windows "temporal" (Pavllo et al.) or "consistency" (chapter 2's
            module).
        loss: "reproj" (3.2), "trans-reproj" (3.7), "supervised", "triangulated" (supervised on
            triangulated detections), or "consensus" (on the teacher's bodies).
        views: "real", or 8 virtual cameras more whose 2D poses are the "virtual" projections of the
            true 3D, or of "triangulated" detections.
        cameras: "known" or "recovered" from the detections.
        label_weights: confidences in the triangulation of labels.
        lam: lambda of equation 3.7.
        long_takes: the same number of frames in a third of the takes.
        teacher: whose bodies take the place of the true ones (beyond chapter 3).
        student: how the network reads a view; None for the thesis' network.
        changes: how samples are made new at every step, from the bodies; None for the views as
            they are.
        error: "squared" as in the thesis, or "distance".
        longer: trained for the profile's `long_steps`.
    """

    loss: str = "trans-reproj"
    adversarial: bool = False
    backbone: str = "linear"
    blocks: int = 4
    root: str = "center-ray"
    root_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pretrained: bool = False
    weight: str = "source"
    views: str = "real"
    cameras: str = "known"
    noise: str = "full"
    split: str = "subjects"
    label_weights: bool = False
    lam: float = 1.0
    long_takes: bool = False
    compare_in: str = ""
    root_from_labels: bool = False
    projection: str = "clamped"
    max_norm: float | None = 1.0
    teacher: Teacher | None = None
    student: Reading | None = None
    changes: Changes | None = None
    error: str = "squared"
    longer: bool = False

    def __post_init__(self) -> None:
        if self.root_from_labels and not self.labelled:
            raise ValueError("a root from the labels needs a loss with 3D labels")
        if self.loss == "consensus" and not self.teacher:
            raise ValueError("the loss consensus needs a teacher")
        if self.adversarial and self.student:
            raise ValueError("adversarial: the critic's new views have no confidences, and a "
                             "student reads them; leave out one of the two")  # fmt: skip
        other_view, picture = "equation 3.5", "a loss that compares pictures"
        readers = {
            "weight": (self.crosses_views, other_view),
            "lam": (self.crosses_views, other_view),
            "projection": (self.crosses_views or self.loss == "reproj", picture),
            "root": (
                not self.relative and self.student is None,
                "a loss that compares global poses or pictures, of the thesis' network",
            ),
            "root_bias": (self.root == "vector", "root='vector'"),
            "pretrained": (not self.relative, "a row that learns where the root is"),
            "label_weights": (self.loss == "triangulated", "loss='triangulated'"),
            "compare_in": (self.labelled, "a loss with 3D labels"),
            "teacher": (self.reads_poses, "loss='consensus' and by changes"),
            "changes": (self.backbone == "linear", "a network of single poses"),
            "backbone": (self.student is None, "the thesis' network, not by a student"),
        }
        refuse_idle(self, readers)

    @property
    def crosses_views(self) -> bool:
        """Whether a pose is carried into the other view and compared there (equation 3.5)."""
        return self.loss == "trans-reproj" or self.compare_in == "pictures"

    @property
    def labelled(self) -> bool:
        """Whether training reads 3D labels, true or triangulated."""
        return self.loss in ("supervised", "triangulated", "consensus")

    @property
    def reads_poses(self) -> bool:
        """Whether training reads poses in space, as labels or to make new samples from."""
        return self.labelled or self.changes is not None

    @property
    def labels(self) -> str | Teacher:
        """The poses in space that go with the views: "true", "triangulated", "weighted" so, or the
        teacher that finds them."""
        if self.teacher:
            return self.teacher
        if self.loss != "triangulated":
            return "true"
        return "weighted" if self.label_weights else "triangulated"

    @property
    def relative(self) -> bool:
        """Whether poses are compared relative to their root, so that its branch learns nothing."""
        return self.labelled and not self.compare_in


_TRANS = Variant()
# Beyond chapter 3: everything on; each row of the ablation leaves one thing out.
_BEYOND = Variant(
    loss="consensus", teacher=Teacher(), student=Reading(), changes=Changes(), error="distance",
    longer=True,
)  # fmt: skip
_SHORT = replace(_BEYOND, longer=False)
VARIANTS: dict[str, Variant] = {
    # Table 3.1
    "reproj": Variant(loss="reproj"),
    "reproj-adv": Variant(loss="reproj", adversarial=True),
    "trans-reproj": _TRANS,
    "trans-reproj-da": Variant(views="virtual"),
    "trans-reproj-da-triangulated": Variant(views="triangulated"),
    "supervised": Variant(loss="supervised"),
    # Table 3.2
    "reslinear": Variant(blocks=2),
    "temporal-dilated": Variant(backbone="temporal"),
    # Chapter 2's module on windows of poses (section 5.2)
    "temporal-consistency": Variant(backbone="consistency"),
    "trans-reproj-long-takes": Variant(long_takes=True),
    "temporal-dilated-long-takes": Variant(backbone="temporal", long_takes=True),
    "temporal-dilated-target-strong-occlusion": Variant(
        backbone="temporal", noise="strong-occlusion", weight="target"
    ),
    # Figure 3.6: what the root branch predicts, and how it starts
    "root-vector": Variant(root="vector"),
    "root-vector-pretrained": Variant(root="vector", pretrained=True),
    "root-vector-constant": Variant(root="vector", root_bias=(0.0, 0.0, 5.0)),
    "root-ray": Variant(root="root-ray"),
    # The same to the letter: no clamp at the pole, no clipped gradient
    "root-vector-plain": Variant(root="vector", projection="plain", max_norm=None),
    "root-vector-plain-pretrained": Variant(
        root="vector", projection="plain", max_norm=None, pretrained=True
    ),
    # Confidence weights of equation 3.5
    "weight-target": Variant(weight="target"),
    "weight-product": Variant(weight="product"),
    "weight-none": Variant(weight="none"),
    # Tables 3.3 and 3.4: triangulated labels, at three kinds of noise
    "triangulated-labels": Variant(loss="triangulated"),
    "triangulated-labels-weighted": Variant(loss="triangulated", label_weights=True),
    "trans-reproj-uniform-noise": Variant(noise="uniform"),
    "triangulated-labels-uniform-noise": Variant(loss="triangulated", noise="uniform"),
    "trans-reproj-strong-occlusion": Variant(noise="strong-occlusion"),
    "trans-reproj-target-strong-occlusion": Variant(noise="strong-occlusion", weight="target"),
    "triangulated-labels-strong-occlusion": Variant(loss="triangulated", noise="strong-occlusion"),
    # Table 3.3 taken apart: what a network is told of the other views, and where the root is
    "triangulated-root": Variant(loss="triangulated", compare_in="pictures", root_from_labels=True),
    "global-labels": Variant(loss="triangulated", compare_in="space"),
    "lambda-3": Variant(lam=3.0),
    "triangulated-root-target-strong-occlusion": Variant(
        loss="triangulated", weight="target", noise="strong-occlusion", label_weights=True,
        compare_in="pictures", root_from_labels=True,
    ),
    "triangulated-labels-weighted-strong-occlusion": Variant(
        loss="triangulated", noise="strong-occlusion", label_weights=True
    ),
    "supervised-strong-occlusion": Variant(loss="supervised", noise="strong-occlusion"),
    # No extrinsics
    "recovered-cameras": Variant(cameras="recovered"),
    # Generalisation to unseen actions
    "trans-reproj-unseen-actions": Variant(split="actions"),
    "supervised-unseen-actions": Variant(loss="supervised", split="actions"),
    # Beyond chapter 3: a teacher of many views, a student of one
    "consensus": replace(_BEYOND, changes=None, student=Reading(flip=False)),
    "consensus-augmented": replace(_BEYOND, student=Reading(flip=False)),
    "consensus-augmented-flip": _BEYOND,
    # Equation 3.7 keeps its squares: with distances it is far worse on a training person left out.
    "trans-reproj-augmented-flip": replace(_BEYOND, loss="trans-reproj", error="squared"),
    "supervised-augmented-flip": replace(_BEYOND, loss="supervised", teacher=None),
    "trans-reproj-da-long": Variant(views="virtual", longer=True),
    "supervised-long": Variant(loss="supervised", longer=True),
    # The points alone, as in the thesis: confidences of another detector mean something else
    "consensus-augmented-flip-points": replace(_BEYOND, student=Reading(confidences=False)),
    # One thing left out, trained as long as the rows of chapter 3
    "everything": _SHORT,
    "without-confidences": replace(_SHORT, student=Reading(confidences=False)),
    "without-centring": replace(_SHORT, student=Reading(centred=False)),
    "without-skip": replace(_SHORT, student=Reading(skip=False)),
    "with-squared-error": replace(_SHORT, error="squared"),
    "without-turns": replace(_SHORT, changes=Changes(turn=0.0)),
    "without-scales": replace(_SHORT, changes=Changes(body=0.0, bone=0.0)),
    "without-shifts": replace(_SHORT, changes=Changes(aside=0.0, height=0.0)),
    "without-mirror": replace(
        _SHORT, changes=Changes(mirror=False), student=Reading(flip=False)
    ),
    "without-exchanges": replace(_SHORT, teacher=Teacher(exchanges=False)),
    "without-weights": replace(_SHORT, teacher=Teacher(weighted=False)),
}  # fmt: skip

# What is run, in this order. The row `trans-reproj` of table-3.1 is also "ours" of Table 3.2, and
# the row with source weights, known cameras and the default root in the other experiments.
EXPERIMENTS: dict[str, tuple[str, ...]] = {
    "table-3.1": (
        "supervised", "trans-reproj", "reproj", "reproj-adv", "trans-reproj-da",
        "trans-reproj-da-triangulated",
    ),
    "figure-3.6": (
        "root-vector", "root-vector-pretrained", "root-vector-constant", "root-ray",
        "root-vector-plain", "root-vector-plain-pretrained",
    ),
    "table-3.2": (
        "reslinear", "temporal-dilated", "trans-reproj-long-takes", "temporal-dilated-long-takes",
        "temporal-dilated-target-strong-occlusion",
    ),
    "consistency-3d": ("temporal-consistency",),
    "table-3.3": (
        "triangulated-labels", "triangulated-labels-weighted",
        "trans-reproj-strong-occlusion", "trans-reproj-target-strong-occlusion",
        "triangulated-labels-strong-occlusion", "trans-reproj-uniform-noise",
        "triangulated-labels-uniform-noise",
    ),
    "ablation-3.3": (
        "triangulated-root", "global-labels", "lambda-3",
        "triangulated-root-target-strong-occlusion",
        "triangulated-labels-weighted-strong-occlusion", "supervised-strong-occlusion",
    ),
    "confidence-weights": ("weight-target", "weight-product", "weight-none"),
    "no-extrinsics": ("recovered-cameras",),
    "unseen-actions": ("trans-reproj-unseen-actions", "supervised-unseen-actions"),
    "beyond-3": (
        "consensus-augmented-flip", "consensus-augmented", "consensus", "supervised-augmented-flip",
        "trans-reproj-augmented-flip", "consensus-augmented-flip-points", "trans-reproj-da-long",
        "supervised-long",
    ),
    "ablation-beyond-3": (
        "everything", "without-confidences", "without-centring", "without-skip",
        "with-squared-error",
        "without-turns", "without-scales", "without-shifts", "without-mirror",
        "without-exchanges", "without-weights",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """How large an experiment is. `steps` of training, after `pretraining_steps` of eq. 3.6.

    Attributes:
        epochs: where above 0 they set the steps, by the size of the data.
        pretraining_epochs: likewise the steps of pre-training.
        long_steps: of rows that train longer; 0 for as many as all others.
    """

    size: ViewsSize
    width: int
    dropout: float
    batch: int
    steps: int
    pretraining_steps: int
    learning_rate: float
    schedule: str
    frames: int
    critic_width: int
    evaluations: int = 20
    epochs: int = 0
    pretraining_epochs: int = 0
    long_steps: int = 0


PROFILES: dict[str, Profile] = {
    "smoke": Profile(ViewsSize(1, 12, 1), 32, 0.0, 64, 40, 10, 4e-3, "one-cycle", 9, 32, 2),
    "laptop": Profile(
        ViewsSize(32, 27), 128, 0.0, 256, 3500, 300, 4e-3, "one-cycle", 27, 128, long_steps=10000
    ),
    # Eight times the width and the steps, at the thesis' rate for that width: where the curves go.
    "night": Profile(
        ViewsSize(32, 27), 1024, 0.0, 256, 28000, 2400, 1e-3, "one-cycle", 27, 1024
    ),
    # The thesis' sizes: 300 epochs of 225 batches of 1024 instants after 20 epochs of pre-training.
    "gpu": Profile(ViewsSize(48, 64), 1024, 0.25, 1024, 67500, 4500, 1e-3, "thirds", 243, 1000),
    # The same on data of any size, such as the official sets.
    "paper": Profile(
        ViewsSize(48, 64), 1024, 0.25, 1024, 67500, 4500, 1e-3, "thirds", 243, 1000,
        epochs=300, pretraining_epochs=20,
    ),
}  # fmt: skip


def in_steps(profile: Profile, instants: int) -> Profile:
    """A profile whose epochs, if it counts in them, are steps over data of so many instants."""
    if not profile.epochs:
        return profile
    epoch = max(1, instants // profile.batch)
    return replace(
        profile, steps=profile.epochs * epoch,
        pretraining_steps=profile.pretraining_epochs * epoch,
    )  # fmt: skip


def steps_of(profile: Profile, variant: Variant) -> int:
    """Steps of training of a row."""
    long = variant.longer and profile.long_steps
    return profile.long_steps if long else profile.steps


def unread(variant: Variant) -> tuple[str, ...]:
    """Settings of a variant and a profile that a row does not read."""
    reads = {
        "root_bias": variant.root == "vector",
        "pretraining_steps": variant.pretrained,
        "frames": variant.backbone != "linear",
        "critic_width": variant.adversarial,
    }
    return tuple(name for name, read in reads.items() if not read)


def for_dataset(variant: Variant, dataset: str) -> Variant:
    """A variant with the lambda that the thesis takes on a data set, if it reads one and has none
    of its own."""
    if not variant.crosses_views or variant.lam != Variant.lam:
        return variant
    return replace(variant, lam=LAMBDA.get(dataset, variant.lam))
