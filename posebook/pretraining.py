"""Section 2.8.2, first step: the base network learns on single pictures, and is kept.

A trained base network is the start of every row of chapter 2, so it is trained once
and stored under its settings and the digest of the code that made it.
"""

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from filelock import FileLock
from torch import nn

from posebook import pck
from posebook.crops import draw_augmentation, inverse, move, normalised
from posebook.frames import Frames, crop, fingerprint
from posebook.heads import head_of, joints_of, loss_of
from posebook.models.base import BaseNetwork, Decoder, Encoder, Pyramid, Regressor, load_matching
from posebook.provenance import code_digest
from posebook.training import Curves, EpochOrder, draw, fit, seeded

# What can change a base network, beside its data.
MODULES = tuple(
    f"posebook.{name}"
    for name in (
        "crops", "data.pictures", "data.records", "frames", "heads", "heatmaps", "models.base",
        "pretraining", "skeleton", "training", "video_losses",
    )
)  # fmt: skip


@dataclass(frozen=True)
class BaseSettings:
    """Size of the base network and of its training.

    width, blocks: of the encoder, see `posebook.models.base.Encoder`. crop: pixels. sigma: of the
    peaks, in cells. imagenet: start from ImageNet's weights, which torchvision then downloads.
    schedule: of the learning rate; or, as in the thesis, shares of the run after which it drops.
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


def build(settings: BaseSettings, joints: int, loss: str = "heatmap") -> BaseNetwork:
    """The untrained base network, with the pyramid of section 2.4."""
    encoder = Encoder(settings.width, settings.blocks, settings.imagenet)
    if head_of(loss) == "heatmap":
        head: nn.Module = Decoder(encoder.channels, settings.decoder_width, joints)
    else:
        head = Regressor(encoder.channels, joints)
    return BaseNetwork(encoder, Pyramid(encoder.channels, settings.dilations), head)


def train_base(
    model: BaseNetwork,
    train: Frames,
    test: Frames,
    settings: BaseSettings,
    loss: str,
    seed: int,
    checkpoint: Path | None = None,
    signature: str = "",
    evaluations: int = 8,
) -> Curves:
    """Train on crops of single frames, each with its own draw of augmentation and erasing.

    The curves hold the loss, and PCK of a part of the test frames (all joints, all of them).
    """
    device = next(model.parameters()).device
    order = EpochOrder(len(train), settings.batch, seed)
    watched = torch.linspace(0, len(test) - 1, min(len(test), 400)).long()

    def step_loss(step: int):
        random = draw(seed, step)
        rows = order.batch(step)
        batch = crop(train, rows, settings.crop, draw_augmentation(len(rows), random), random)
        output = model(normalised(batch.pictures.to(device)))
        joints, counted = batch.joints.to(device), batch.counted.to(device)
        return loss_of(loss, output, joints, counted, settings.crop, settings.sigma), {}

    def watch() -> dict[str, float]:
        return accuracy(model, test, watched, settings.crop, loss)

    return fit(
        model, step_loss, steps=settings.steps, learning_rate=settings.learning_rate,
        schedule=settings.schedule, evaluate=watch, log_every=max(1, settings.steps // 100),
        evaluate_every=max(1, settings.steps // evaluations), checkpoint=checkpoint,
        signature=signature, description="base network",
    )  # fmt: skip


def accuracy(
    model: nn.Module, frames: Frames, rows: torch.Tensor, size: int, loss: str, batch: int = 64
) -> dict[str, float]:
    """PCK at 0.2 and 0.1 of rows, frame by frame: mean over all joints with a label."""
    device = next(model.parameters()).device
    found = []
    for part in rows.split(batch):
        crops_ = crop(frames, part, size)
        joints, _ = joints_of(loss, model(normalised(crops_.pictures.to(device))), size)
        found.append(move(inverse(crops_.M), joints.cpu()))
    predicted = torch.cat(found).numpy()
    truth, box = frames.joints[rows].numpy(), frames.box[rows].numpy()
    counted = frames.annotated[rows].numpy()
    return {
        f"pck_{alpha}": float(
            pck.rates(pck.count(predicted, truth, box, alpha, counted))[counted.any(0)].mean()
        )
        for alpha in (0.2, 0.1)
    }


def cache_folder() -> Path:
    """Where data and networks that many runs share are kept: `runs/cache` of the clone.

    The environment variable `POSEBOOK_CACHE` names another folder.
    """
    named = os.environ.get("POSEBOOK_CACHE")
    return Path(named) if named else Path(__file__).resolve().parents[1] / "runs" / "cache"


def key_of(**settings) -> str:
    """A short name for settings, in which equal settings and only these are the same."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def base_network(
    settings: BaseSettings,
    train: Frames,
    test: Frames,
    seed: int,
    *,
    loss: str = "heatmap",
    start: dict[str, torch.Tensor] | None = None,
    device: str = "cpu",
    folder: Path | None = None,
) -> tuple[BaseNetwork, dict]:
    """The trained base network for these settings, from the cache or trained now; and its record.

    start: weights to begin from, where they fit. Two processes that ask for the same network train
    it once. The record has curves, wall_seconds and key.
    """
    if settings.epochs:
        steps = settings.epochs * max(1, len(train) // settings.batch)
        settings = replace(settings, steps=steps)
    key = key_of(
        settings=asdict(settings), data=fingerprint(train), loss=loss, seed=seed,
        started=start is not None, code=code_digest(MODULES), device=device,
    )  # fmt: skip
    folder = (folder or cache_folder()) / "base" / key
    folder.mkdir(parents=True, exist_ok=True)
    seeded(seed)
    model = build(settings, train.joints.shape[1], loss)
    if start is not None:
        load_matching(model, start)
    model.to(device)
    with FileLock(folder / ".lock"):
        if not (folder / "done.pt").exists():
            began = time.perf_counter()
            curves = train_base(
                model, train, test, settings, loss, seed, folder / "training.pt", key
            )
            record = {"curves": curves, "wall_seconds": time.perf_counter() - began, "key": key}
            state = {name: value.cpu() for name, value in model.state_dict().items()}
            torch.save({"model": state, "record": record}, folder / "done.writing")
            os.replace(folder / "done.writing", folder / "done.pt")
            (folder / "training.pt").unlink(missing_ok=True)
    kept = torch.load(folder / "done.pt", weights_only=True, map_location="cpu")
    model.load_state_dict(kept["model"])
    return model.to(device).eval(), kept["record"]
