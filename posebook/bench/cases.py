"""What is timed: data, training steps, metrics, video forms, rendering, loading."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import scipy.io
import torch

from posebook.bench import references
from posebook.bench.measure import Case
from posebook.data.fixtures import images
from posebook.data.official import jhmdb
from posebook.data.pairs import PairBatch, draw_views, gather
from posebook.data.rendered import render
from posebook.data.rendered.takes import still_take
from posebook.data.views import Views
from posebook.lifting import prepare, rows
from posebook.lifting.train import pair_loss
from posebook.metrics import pose3d
from posebook.training.draws import EpochOrder, draw, seed_everything
from posebook.video import speed
from posebook.video.inference import cached, multiplications, naive, stream


@dataclass(frozen=True)
class BenchSize:
    """How much is done in a call. width: of the lifting network; video: of `speed.SIZES`."""

    clips: int
    frames: int
    batch: int
    widths: tuple[int, ...]
    poses: int
    video: str


SIZES = {
    "smoke": BenchSize(2, 30, 32, (16,), 64, "smoke"),
    "laptop": BenchSize(20, 1500, 512, (128, 1024), 16384, "laptop"),
}


def made_views(size: BenchSize) -> Views:
    """Views of four cameras with as many instants as asked for; the numbers mean nothing."""
    views, _ = prepare.load(rows.PROFILES["smoke"], rows.VARIANTS["trans-reproj"])
    total = size.clips * size.frames
    again = torch.arange(total) % len(views)
    first = torch.arange(total) // size.frames * size.frames
    parts = {name: getattr(views, name)[again] for name in ("X", "w", "Y", "rig")}
    parts |= {name: getattr(views, name)[again] for name in ("action", "subject")}
    return replace(views, **parts, first=first, last=first + size.frames - 1)


def data_cases(views: Views, size: BenchSize) -> list[Case]:
    """Pairs of single frames and windows, each beside a generator that makes a sample at a time."""
    n, view = 2 * size.batch, 1
    order = EpochOrder(len(views), size.batch, 0)
    clips, poses = (
        list(part[:, view].numpy().reshape(size.clips, size.frames, -1, part.shape[-1]))
        for part in (views.X, views.Y)
    )
    cameras = np.ones((size.clips, 9))
    random = np.random.default_rng(0)
    chosen = np.stack(
        [random.integers(len(clips), size=n), random.integers(size.frames, size=n)], 1
    )
    instant = torch.from_numpy(chosen[:, 0] * size.frames + chosen[:, 1])
    views_ = torch.full_like(instant, view)
    Y = views.Y.flatten(0, 1)

    def pairs():
        gather(views, order.batch(0), *draw_views(views, size.batch, draw(0, 0)))

    def plain(frames, count):
        return lambda: next(references.generator(clips, poses, cameras, chosen, frames, count))

    def windows(table, count):
        at = instant[:count]
        return table.take(at, views_[:count]), Y.index_select(0, at * views.views + view)

    found = [Case("pairs of views", "view", n, pairs, plain(1, n))]
    # The last is more than the C library keeps in hand (32 MB): it comes from the system anew.
    for name, frames, count in (
        ("windows of 27 frames", 27, n), ("windows of 243 frames", 243, n // 4),
        ("243 frames, 4 times the batch", 243, n),
    ):  # fmt: skip
        table = views.windows(frames)
        found.append(
            Case(
                name, "window", count, partial(windows, table, count), plain(frames, count),
                bytes=2.0 * 4 * count * frames * views.X[0, 0].numel(),
            )
        )  # fmt: skip
    return found


def step_case(views: Views, size: BenchSize, width: int) -> Case:
    """A whole step of row `trans-reproj`, data included, beside one whose samples are copied one by
    one and whose optimiser goes from weight to weight."""
    dropout, batch = (0.25, 2 * size.batch) if width >= 1024 else (0.0, size.batch // 2)
    profile = replace(rows.PROFILES["laptop"], width=width, dropout=dropout, batch=batch)
    variant = rows.VARIANTS["trans-reproj"]
    order = EpochOrder(len(views), batch, 0)

    def step_of(next_pairs, **how):
        seed_everything(0)
        model = prepare.build(profile, variant)
        weights = list(model.parameters())
        optimiser = torch.optim.Adam(weights, lr=1e-3, **how)

        def step():
            value, _, _ = pair_loss(model, views, next_pairs(), variant)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            return value

        return step, weights

    def drawn():
        instant = order.batch(0)
        return instant, *draw_views(views, batch, draw(0, 0))

    tables = [part.numpy() for part in (views.X, views.w, views.rig, views.R, views.t)]
    chosen = torch.stack(drawn(), 1).numpy()

    def one_by_one():
        parts = next(references.pairs_one_by_one(tables, chosen, batch))
        return PairBatch(*parts, None, None, *torch.from_numpy(chosen).T)

    step, weights = step_of(lambda: gather(views, *drawn()), fused=True)
    plain, _ = step_of(one_by_one, fused=False, foreach=False)
    flops = moved = 0.0
    n = 2 * batch  # both views of a pair
    for outputs, inputs in (weight.shape for weight in weights if weight.dim() == 2):
        # Forward, and the gradients of weights and inputs; nobody asks for those of the 2D joints.
        products = 2 if inputs < width and outputs == width else 3
        flops += products * 2.0 * n * outputs * inputs
        moved += products * 4.0 * (n * outputs + n * inputs + outputs * inputs)
    name = f"lifting step, width {width}"
    return Case(name, "pair", batch, step, plain, flops=flops, bytes=moved)


def metric_cases(size: BenchSize) -> list[Case]:
    """Errors of poses, beside a loop and beside NumPy's batched decomposition."""
    random, few = np.random.default_rng(0), max(1, size.poses // 32)
    target = 0.3 * random.normal(size=(size.poses, 17, 3)).astype("float32")
    predicted = target + 0.05 * random.normal(size=target.shape).astype("float32")
    a, b = torch.from_numpy(predicted), torch.from_numpy(target)

    def of(name, fast, plain, n):
        arrays = predicted[:n], target[:n]
        return Case(name, "pose", size.poses, lambda: fast(a, b), lambda: plain(*arrays), n)

    return [
        of("MPJPE, a loop", pose3d.mpjpe, references.mpjpe_one_by_one, few),
        of("P-MPJPE, a loop", pose3d.p_mpjpe, references.p_mpjpe_one_by_one, few),
        of("P-MPJPE, NumPy in batches", pose3d.p_mpjpe, references.p_mpjpe_by_svd, size.poses),
    ]


def video_cases(size: BenchSize) -> list[Case]:
    """Both forms that encode a frame once, beside windows that are encoded anew."""
    chosen = speed.SIZES[size.video]
    nets = speed.networks(chosen)
    pictures = torch.zeros(chosen.frames, chosen.crop, chosen.crop, 3, dtype=torch.uint8)
    args, targets = (nets.encoder, nets.video), torch.arange(chosen.frames)[-chosen.few :]
    count = {
        form: sum(multiplications(*args, chosen.crop, speed.N, form).values())
        for form in ("naive", "cached", "stream")
    }

    def plain():
        return naive(*args, pictures, targets, speed.N)

    def case(form, function):
        ratio = count["naive"] / count[form]
        flops = 2.0 * count[form] * len(pictures)
        fast = lambda: list(function(*args, pictures, speed.N))  # noqa: E731
        return Case(
            f"video, {form}",
            "frame",
            len(pictures),
            fast,
            plain,
            len(targets),
            flops=flops,
            expected=ratio,
        )

    return [case("cached", cached), case("stream", stream)]


def data_file_cases(folder: Path) -> list[Case]:
    """Rendering a picture, beside one whose triangles are drawn one by one, and reading clips of
    JHMDB beside SciPy and OpenCV alone."""
    take = still_take("train", 0)
    clips = images.jhmdb_clips()
    images.write_jhmdb(folder, clips)
    pictures = sorted((folder / "Rename_Images").rglob("*.png"))
    labels = sorted(folder.rglob("*.mat"))

    def plain():
        return [scipy.io.loadmat(path) for path in labels], [cv2.imread(p) for p in pictures]

    def ours():
        train, test = jhmdb.load_clips(folder)
        return [picture for clip in (*train, *test) for picture in clip.pictures]

    def one_by_one():  # light, shadow, blur and noise are the same in both
        with patch.object(render, "draw", references.draw_one_by_one):
            return render.expose(take, 0)

    return [
        Case("rendering", "picture", 1, lambda: render.expose(take, 0), one_by_one),
        Case("loading JHMDB", "clip", len(clips), ours, plain),
    ]


def cases(size: BenchSize, folder: Path) -> list[Case]:
    """All of it. folder: for the files that are read."""
    views = made_views(size)
    steps = [step_case(views, size, width) for width in size.widths]
    return [
        *data_cases(views, size), *steps, *metric_cases(size), *video_cases(size),
        *data_file_cases(folder),
    ]  # fmt: skip
