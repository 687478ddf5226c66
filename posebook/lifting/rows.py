"""Chapter 3's rows as data: what is trained, on what, and for how long.

A variant says what makes a row of a table; a profile says how large everything is.
"""

from dataclasses import dataclass, replace

from posebook.data.sources import EMBEDDED_VIEWS, OFFICIAL_VIEWS, ViewsSize

DATASETS = (EMBEDDED_VIEWS, *OFFICIAL_VIEWS)
LAMBDA = {"mpi-inf-3dhp": 1.5}  # of equation 3.7; 1 elsewhere (section 3.5)
ONE_SEED = ()


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
        loss: "reproj" (3.2), "trans-reproj" (3.7), "supervised", or "triangulated" (supervised on
            triangulated detections).
        views: "real", or 8 virtual cameras more whose 2D poses are the "virtual" projections of the
            true 3D, or of "triangulated" detections.
        cameras: "known" or "recovered" from the detections.
        label_weights: confidences in the triangulation of labels.
        lam: lambda of equation 3.7.
        long_takes: the same number of frames in a third of the takes.
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

    def __post_init__(self) -> None:
        if self.root_from_labels and not self.labelled:
            raise ValueError("a root from the labels needs a loss with 3D labels")

    @property
    def labelled(self) -> bool:
        """Whether training reads 3D labels, true or triangulated."""
        return self.loss in ("supervised", "triangulated")

    @property
    def labels(self) -> str:
        """The poses in space that go with the views: "true", "triangulated", or "weighted" so."""
        if self.loss != "triangulated":
            return "true"
        return "weighted" if self.label_weights else "triangulated"

    @property
    def relative(self) -> bool:
        """Whether poses are compared relative to their root, so that its branch learns nothing."""
        return self.labelled and not self.compare_in


_TRANS = Variant()
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
}  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """How large an experiment is. `steps` of training, after `pretraining_steps` of eq. 3.6.

    Attributes:
        epochs, pretraining_epochs: where above 0 they set the steps, by the size of the data.
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


PROFILES: dict[str, Profile] = {
    "smoke": Profile(ViewsSize(1, 12, 1), 32, 0.0, 64, 40, 10, 4e-3, "one-cycle", 9, 32, 2),
    "laptop": Profile(ViewsSize(32, 27), 128, 0.0, 256, 3500, 300, 4e-3, "one-cycle", 27, 128),
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


def for_dataset(variant: Variant, dataset: str) -> Variant:
    """A variant with the lambda that the thesis takes on a data set."""
    return replace(variant, lam=LAMBDA.get(dataset, variant.lam))
