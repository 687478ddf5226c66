"""Poses of whole videos: every frame is encoded once, whatever the number of windows it is in.

Three forms. `naive` does what the equations say, a window at a time: 2 N + 1 encoder passes a
frame. `cached` gives the same numbers: encoder, pyramid and the gates' input half are computed
once a frame, the windows of many targets are one batch, and so are both directions. `stream` is
another model with the same weights: the recursion runs through the whole video instead of
beginning anew N frames before each target, one step a frame and direction.

All but `naive` read frames from an iterator and keep a bounded number of them.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from posebook.video.boxes import with_boxes
from posebook.video.crops import apply_affine, crop_matrix, cut, inverse, normalised
from posebook.video.heads import joints_of
from posebook.video.losses import LOSSES
from posebook.video.network import VideoNetwork
from posebook.video.tce import windows

FORMS = ("naive", "cached", "stream")
BLOCK = 32  # targets at a time


@torch.inference_mode()
def naive(
    encoder: nn.Module, model: VideoNetwork, pictures: Tensor, targets: Tensor, N: int
) -> Tensor:
    """Outputs (B, K, ...) of targets (B,) in a clip of crops (T, S, S, 3), each by itself."""
    encoder.eval(), model.eval()
    out = []
    for target in targets.tolist():
        rows = (torch.arange(-N, N + 1) + target).clamp(0, len(pictures) - 1)
        X = torch.cat([encoder(normalised(pictures[row : row + 1])) for row in rows.tolist()])
        before = torch.arange(N + 1)[None]
        out.append(model(X, before, 2 * N - before))
    return torch.cat(out)


@torch.inference_mode()
def poses(
    encoder: nn.Module,
    model: VideoNetwork,
    pictures: Iterable,
    boxes: Iterable | None = None,
    *,
    size: int,
    N: int,
    form: str = "cached",
    loss: str = "heatmap",
    name: str = "video",
) -> Iterator[tuple[Tensor, Tensor]]:
    """Joints (K, 2) in pixels and scores (K,) of one person, frame by frame.

    Where the person is lost, joints are NaN and scores 0. For its neighbours such a frame is cut
    about the last box (a whole picture before the first one).

    Encoder and model are put into evaluation mode: in training mode the answers depend on which
    frames are taken together.

    Args:
        pictures: arrays (H, W, 3) or files, in order, such as
            `posebook.data.formats.pictures.read_video` gives them.
        boxes: the person's (x1, y1, x2, y2) in each, in any iterable; where the person is lost
            None, four zeros or four NaN. None for all takes whole pictures.
        size, loss: of the crops and of the training of the network.
        form: "cached" or "stream".

    Raises:
        ValueError: for an unknown form or loss; with `name` and the frame, for a missing or a
            surplus box (before any work where both numbers are known), one without area, or one
            that lies outside its picture.
    """
    run = {"cached": cached, "stream": stream}
    if form not in run:
        raise ValueError(f"unknown form {form!r}; known: {', '.join(run)}")
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; known: {', '.join(LOSSES)}")
    waiting: deque[tuple[Tensor, bool]] = deque()
    following = with_boxes(pictures, boxes, name)

    def film() -> Iterator[Tensor]:
        for picture, box, found in following:
            M = crop_matrix(torch.from_numpy(box)[None], size)
            waiting.append((M, found))
            yield cut([picture], M, size)[0]

    for output in run[form](encoder, model, film(), N):
        joints, scores = joints_of(loss, output, size)
        for mine, score in zip(joints.cpu(), scores.cpu(), strict=True):
            M, found = waiting.popleft()
            at = apply_affine(inverse(M), mine[None])[0]
            yield (at, score) if found else (at * torch.nan, score * 0)


class _Buffer:
    """Maps and input gates of the last frames of a video that is read on demand."""

    def __init__(self, encoder: nn.Module, model: VideoNetwork, crops: Iterable[Tensor]) -> None:
        self.encoder, self.model = encoder, model
        self.crops = iter(crops)
        self.begin = self.end = 0  # frames held
        self.parts: tuple[Tensor | None, ...] = ()
        self.ended = False

    def read_to(self, frame: int) -> None:
        """Hold all frames up to this one (not included), as far as the video has them."""
        while self.end < frame and not self.ended:
            batch = []
            while len(batch) < min(BLOCK, frame - self.end):
                crop = next(self.crops, None)
                if crop is None:
                    self.ended = True
                    break
                batch.append(crop)
            if batch:
                self._append(torch.stack(batch))

    def _append(self, pictures: Tensor) -> None:
        device = next(self.encoder.parameters()).device
        X = self.encoder(normalised(pictures.to(device)))
        new = (X if self.model.residual else None, *self.model.prepare(X))
        self.parts = tuple(
            part if old is None else torch.cat([old, part])
            for old, part in zip(self.parts or (None,) * 3, new, strict=True)
        )
        self.end += len(pictures)

    def forget(self, frame: int) -> None:
        """Drop the frames before this one."""
        drop = max(0, frame - self.begin)
        self.parts = tuple(None if part is None else part[drop:] for part in self.parts)
        self.begin += drop


@torch.inference_mode()
def cached(
    encoder: nn.Module,
    model: VideoNetwork,
    crops: Iterable[Tensor],
    N: int,
    stride: int = 1,
    block: int = BLOCK,
) -> Iterator[Tensor]:
    """Outputs (B, K, ...) of all frames in blocks, for crops (S, S, 3) of one video in order.

    The numbers of `naive`, to rounding. Holds block + 2 N stride frames' maps at most.
    """
    encoder.eval(), model.eval()
    held, reach, start = _Buffer(encoder, model, crops), N * stride, 0
    while True:
        held.read_to(start + block + reach)
        stop = min(start + block, held.end)
        if stop == start:
            return
        targets = torch.arange(start, stop)
        ends = torch.zeros_like(targets), torch.full_like(targets, held.end - 1)
        X, maps, gates = held.parts
        before, after = (
            (rows - held.begin).to(maps.device) for rows in windows(targets, *ends, N, stride)
        )
        H = model.enhance(maps, gates, before, after)
        yield model.decode(H, X[before[:, -1]] if model.residual else None)
        start = stop
        held.forget(start - reach)


@torch.inference_mode()
def stream(
    encoder: nn.Module,
    model: VideoNetwork,
    crops: Iterable[Tensor],
    lookahead: int = 6,
    block: int = BLOCK,
) -> Iterator[Tensor]:
    """Outputs in blocks, as `cached`, by one recursion through the whole video.

    Forwards the state lives from the first frame on. Backwards it begins `lookahead` frames behind
    the end of each block: a video that is still being filmed has no last frame.

    Raises:
        ValueError: for a network that looks at single frames.
    """
    _needs_recursion(model)
    encoder.eval(), model.eval()
    held, start, state = _Buffer(encoder, model, crops), 0, None
    while True:
        held.read_to(start + block + (lookahead if model.directions == 2 else 0))
        stop = min(start + block, held.end)
        if stop == start:
            return
        X, maps, gates = held.parts
        size = stop - start
        H, state = _both_ways(model, maps, gates, size, state)
        yield model.decode(H, X[:size] if model.residual else None)
        start = stop
        held.forget(start)


def whole_clip(model: VideoNetwork, X: Tensor) -> Tensor:
    """Outputs for features X (T, C, h, w) of all frames of a clip: `stream` in a single block."""
    _needs_recursion(model)
    H, _ = _both_ways(model, *model.prepare(X), len(X))
    return model.decode(H, X)


def _needs_recursion(model: VideoNetwork) -> None:
    if model.tce is None:
        raise ValueError(
            "this network looks at single frames and has no recursion to stream; use form='cached'"
        )


def recursion(tce, maps: Tensor, gates: Tensor | None, state=None) -> tuple[Tensor, tuple]:
    """States (T, ., h, w) after each of T frames, and what the next block goes on with."""
    out = []
    for t in range(len(maps)):
        X, W = maps[t : t + 1], None if gates is None else gates[t : t + 1]
        if state is None:
            state = tce.begin(X)
            if tce.start == "zeros":
                state = tce.step(X, W, *state)
        else:
            state = tce.step(X, W, *state)
        out.append(state[0])
    return torch.cat(out), state


def _both_ways(model: VideoNetwork, maps, gates, size: int, state=None) -> tuple[Tensor, tuple]:
    """Enhanced maps of the first `size` frames, and what the next block goes on with forwards."""
    H, state = recursion(model.tce, maps[:size], None if gates is None else gates[:size], state)
    if model.directions == 2:
        tce = model.tce_after or model.tce
        theirs = gates if tce is model.tce else tce.input_gates(maps)
        back, _ = recursion(tce, maps.flip(0), None if theirs is None else theirs.flip(0))
        H = H + back.flip(0)[:size]
    return H, state


def counting(function, *args) -> tuple[object, int]:
    """What a function returns, and how many multiplications that took."""
    from torch.utils.flop_counter import FlopCounterMode  # a third of a second, for this alone

    with FlopCounterMode(display=False) as counter:
        out = function(*args)
    return out, counter.get_total_flops() // 2


def multiplications(
    encoder: nn.Module, model: VideoNetwork, size: int, N: int, form: str = "cached"
) -> dict[str, int]:
    """Multiplications for one frame of a long video, by part, as PyTorch's own counter has them.

    Parts: encoder, maps and gates (pyramid, input half of the gates), recursion, decoder. Warps
    and normalisation are not counted; they are far below one percent.
    """
    if form not in FORMS:
        raise ValueError(f"unknown form {form!r}; known: {', '.join(FORMS)}")
    device = next(encoder.parameters()).device
    seen = 2 * N + 1 if form == "naive" else 1
    steps = min(N, 1) if form == "stream" else N
    rows = torch.zeros(1, steps + 1, dtype=torch.long, device=device)
    picture = torch.zeros(1, size, size, 3, dtype=torch.uint8, device=device)
    counts = {}

    def counted(part: str, times: int, function, *args):
        out, number = counting(function, *args)
        counts[part] = times * number
        return out

    was_training = model.training, encoder.training
    model.eval(), encoder.eval()
    with torch.no_grad():
        X = counted("encoder", seen, encoder, normalised(picture))
        maps, gates = counted("maps and gates", seen, model.prepare, X)
        H = counted("recursion", 1, model.enhance, maps, gates, rows, rows)
        counted("decoder", 1, model.decode, H, X)
    model.train(was_training[0]), encoder.train(was_training[1])
    return counts
