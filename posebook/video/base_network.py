"""Section 2.8.2, first step: the base network learns on single pictures, and is kept.

A trained base network is the start of every row of chapter 2, so it is trained once
and stored under its settings and the digest of the code that made it.
"""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

from posebook.metrics import pose2d as pck
from posebook.paths import cache_folder
from posebook.results.provenance import code_digest, data_digest
from posebook.storage import key_of, made_once, whole
from posebook.training import card, trace
from posebook.training.checkpoint import Clock, Curves, read, remove
from posebook.training.draws import EpochOrder, draw, seed_everything, send
from posebook.training.loop import Checkpoint, Schedule, fit
from posebook.video.backbone import BaseNetwork, Decoder, Encoder, Pyramid, Regressor, load_matching
from posebook.video.crops import apply_affine, draw_augmentation, inverse, normalised
from posebook.video.frames import Frames, crop, fingerprint
from posebook.video.heads import head_of, joints_of, loss_of
from posebook.video.rows import BaseSettings

# What can change a base network, beside its data.
MODULES = tuple(
    f"posebook.{name}"
    for name in (
        "data.formats.pictures", "data.records", "geometry.skeleton", "training.draws",
        "training.loop", "video.backbone", "video.base_network", "video.crops", "video.frames",
        "video.heads", "video.heatmaps", "video.losses",
    )
)  # fmt: skip


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
    checkpoint: Checkpoint | None = None,
    clock: Clock | None = None,
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
        output = model(normalised(send(batch.pictures, device)))
        joints, counted = send(batch.joints, device), send(batch.counted, device)
        return loss_of(loss, output, joints, counted, settings.crop, settings.sigma), {}

    def validate() -> dict[str, float]:
        return accuracy(model, test, watched, settings.crop, loss)

    with card.applied(model, networks=[model]):
        return fit(
            model, step_loss, Schedule(settings.steps, settings.learning_rate, settings.schedule),
            evaluate=validate, evaluations=evaluations, points=100, checkpoint=checkpoint,
            clock=clock, description="base network",
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
        found.append(apply_affine(inverse(crops_.M), joints.cpu()))
    predicted = torch.cat(found).numpy()
    truth, box = frames.joints[rows].numpy(), frames.box[rows].numpy()
    counted = frames.annotated[rows].numpy()
    return {
        f"pck_{alpha}": float(
            pck.rates(pck.count(predicted, truth, box, alpha, counted))[counted.any(0)].mean()
        )
        for alpha in (0.2, 0.1)
    }


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

    Args:
        start: weights to begin from, where they fit. Two processes that ask for the same network
            train it once. The record has curves, wall_seconds, steps and key.
    """
    if settings.epochs:
        steps = settings.epochs * max(1, len(train) // settings.batch)
        settings = replace(settings, steps=steps)
    key = key_of(
        settings=asdict(settings), data=fingerprint(train), watched=fingerprint(test), loss=loss,
        seed=seed,
        start=start and data_digest(start), code=code_digest(MODULES), device=device,
        **card.signed(),
    )  # fmt: skip
    folder = (folder or cache_folder()) / "base" / key
    seed_everything(seed)
    model = build(settings, train.joints.shape[1], loss)
    if start is not None:
        load_matching(model, start)
    model.to(device)
    now = trace.recorder()
    before = len(now.stages) if now else 0
    with made_once(folder / "done.pt") as missing:
        if missing:
            clock, kept = Clock(), Checkpoint(folder / "training.pt", key)
            curves = train_base(model, train, test, settings, loss, seed, kept, clock)
            record = {"curves": curves, "wall_seconds": clock.seconds, "key": key}
            record |= {"steps": settings.steps, "trace": now.stages[before:] if now else []}
            state = {name: value.cpu() for name, value in model.state_dict().items()}
            with whole(folder / "done.pt") as file:
                torch.save({"model": state, "record": record}, file)
            remove(folder / "training.pt")
    kept = read(folder / "done.pt", "model", "record")
    model.load_state_dict(kept["model"])
    if now and not missing:
        now.stages.extend(kept["record"]["trace"])
    return model.to(device).eval(), kept["record"]
