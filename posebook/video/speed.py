"""Section 2.8.5: how long a frame takes, in every form and beside two other methods.

    python -m posebook draw runtime --size thesis

times the forms on this machine, one round of all after the other, and files a result for each.
All read the same pictures and boxes and give joints in pixels: crops and decoding are included.
Weights are random; they do not change how long anything takes.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from posebook.data.rendered import clips as embedded_video
from posebook.data.rendered import store
from posebook.video import crops, flow, heatmaps
from posebook.video.backbone import Encoder
from posebook.video.inference import counting, multiplications, naive, poses
from posebook.video.lstm_pose_machine import LSTMPoseMachine
from posebook.video.network import VideoNetwork
from posebook.video.tce import windows

N, JOINTS = 6, 15
FORMS = ("base", "flow", "naive", "cached", "stream", "lstm-pose-machine")


@dataclass(frozen=True)
class SpeedSize:
    """Sizes of the networks and of the clip. width, blocks: of the encoder, see `Encoder`.

    Attributes:
        frames: length of the clip, which is also the batch.
        few: how many frames the slow forms are timed on, the naive one and the LSTM Pose Machine,
            which know no batch.
        machine_width: of the LSTM Pose Machine.
        machine_crop: of the same.
    """

    width: int
    blocks: int
    crop: int
    decoder_width: int
    dilations: tuple[int | None, ...]
    frames: int
    few: int
    machine_width: int
    machine_crop: int


SIZES = {
    "smoke": SpeedSize(8, 1, 64, 16, (None, 1, 2, 3), 12, 2, 4, 64),
    "laptop": SpeedSize(32, 1, 128, 48, (None, 1, 2, 3), 32, 3, 128, 368),
    "thesis": SpeedSize(64, 2, 256, 256, (None, 1, 2, 4), 8, 2, 128, 368),
}


@dataclass(frozen=True, eq=False)
class Networks:
    """What is timed, in evaluation mode."""

    encoder: nn.Module
    single: VideoNetwork
    video: VideoNetwork
    machine: LSTMPoseMachine


def networks(size: SpeedSize, device: str = "cpu") -> Networks:
    """Encoder, single-frame network, full video network and LSTM Pose Machine, untrained."""
    encoder = Encoder(size.width, size.blocks)
    args = encoder.channels, JOINTS, size.decoder_width
    found = Networks(
        encoder,
        VideoNetwork(*args, front="none"),
        VideoNetwork(*args, front="multi", dilations=size.dilations),
        LSTMPoseMachine(JOINTS, size.machine_width),
    )
    for part in (found.encoder, found.single, found.video, found.machine):
        part.to(device).eval()
    return found


def forms(nets: Networks, size: SpeedSize) -> dict[str, Callable[[np.ndarray, np.ndarray], Tensor]]:
    """The forms: each takes pictures (T, H, W, 3) and boxes (T, 4) to joints (T', K, 2) in pixels.

    T' is T, but `size.few` for the naive form and the LSTM Pose Machine, which answer for the last
    frames alone.
    """
    device = next(nets.encoder.parameters()).device

    def cut(pictures, boxes, pixels):
        M = crops.crop_matrix(torch.as_tensor(boxes, dtype=torch.float64), pixels)
        return M, crops.cut(list(pictures), M, pixels)

    def in_pictures(maps, M, pixels):
        cells, _ = heatmaps.decode(maps)
        at = heatmaps.to_pixels(cells, pixels, maps.shape[-1]).cpu()
        return crops.apply_affine(crops.inverse(M), at)

    def by_poses(model, n, form):
        def run(pictures, boxes):
            found = poses(nets.encoder, model, pictures, boxes, size=size.crop, N=n, form=form)
            return torch.stack([joints for joints, _ in found])

        return run

    def by_naive(pictures, boxes):
        M, cropped = cut(pictures, boxes, size.crop)
        targets = torch.arange(len(cropped))[-size.few :]
        maps = naive(nets.encoder, nets.video, cropped.to(device), targets, N)
        return in_pictures(maps, M[targets], size.crop)

    @torch.inference_mode()
    def by_flow(pictures, boxes):
        M, cropped = cut(pictures, boxes, size.crop)
        X = nets.encoder(crops.normalised(cropped.to(device)))
        at = torch.arange(len(X))
        maps = nets.single(X, at[:, None].to(device), at[:, None].to(device))
        before, after = windows(at, at * 0, at * 0 + len(at) - 1, N)
        rows = torch.cat([before, after[:, :-1].flip(1)], dim=1)
        return in_pictures(flow.averaged(maps, cropped, rows), M, size.crop)

    begun: list = []  # heatmaps and state of the frame before: a video has one first frame

    @torch.inference_mode()
    def by_machine(pictures, boxes):
        if not begun:  # in the first round, which is not timed
            _, first = cut(pictures[:1], boxes[:1], size.machine_crop)
            begun.extend(nets.machine.start(crops.normalised(first.to(device))))
        M, cropped = cut(pictures[-size.few :], boxes[-size.few :], size.machine_crop)
        (maps, state), found = begun, []
        for picture in crops.normalised(cropped.to(device)).split(1):
            maps, state = nets.machine.step(picture, maps, state)
            found.append(maps[:, :-1])
        return in_pictures(torch.cat(found), M, size.machine_crop)

    return {
        "base": by_poses(nets.single, 0, "cached"),
        "flow": by_flow,
        "naive": by_naive,
        "cached": by_poses(nets.video, N, "cached"),
        "stream": by_poses(nets.video, N, "stream"),
        "lstm-pose-machine": by_machine,
    }


def counts(nets: Networks, size: SpeedSize) -> dict[str, float]:
    """Thousands of millions of multiplications for one frame of a long video, by form.

    The flow's own are not counted: they are no network's.
    """
    base = sum(multiplications(nets.encoder, nets.single, size.crop, 0).values())
    total = {"base": base, "flow": base}
    for form in ("naive", "cached", "stream"):
        total[form] = sum(multiplications(nets.encoder, nets.video, size.crop, N, form).values())
    device = next(nets.machine.parameters()).device
    picture = torch.zeros(1, 3, size.machine_crop, size.machine_crop, device=device)
    with torch.inference_mode():
        before, state = nets.machine.start(picture)
        _, total["lstm-pose-machine"] = counting(nets.machine.step, picture, before, state)
    return {form: number / 1e9 for form, number in total.items()}


def clip(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (T, 240, 320, 3) and boxes (T, 4) of an embedded clip, played to and fro."""
    [first, *_], _ = embedded_video.make_clips(store.SIZES["smoke"])
    there = list(range(len(first)))
    order = (there + there[-2:0:-1]) * frames
    return first.pictures[order[:frames]], first.box[order[:frames]]


def measure(size: SpeedSize, repeats: int = 5, device: str = "cpu") -> dict[str, np.ndarray]:
    """Milliseconds a frame (repeats, 2) of every form: on the clock, and of this process.

    The second leaves out what else the machine does; on an accelerator it is the host's part.
    Rounds go through all forms, so that a change of the machine's mood meets all of them.
    """
    run, (pictures, boxes) = forms(networks(size, device), size), clip(size.frames)
    found = {form: [] for form in run}
    for number in tqdm(range(repeats + 1), desc="rounds", delay=5):
        for form, function in run.items():
            clock, process = time.perf_counter(), time.process_time()
            joints = function(pictures, boxes)
            if device != "cpu":
                torch.cuda.synchronize()
            spent = time.perf_counter() - clock, time.process_time() - process
            if number:  # the first round sets up
                found[form].append([1000 * part / len(joints) for part in spent])
    return {form: np.array(rounds) for form, rounds in found.items()}


def metrics_of(rounds: np.ndarray, gmac: float) -> dict[str, float]:
    """The result of one form: medians with the quartiles over rounds."""
    wall = rounds[:, 0]
    low, high = np.percentile(wall, [25, 75])
    return {
        "ms_per_frame": statistics.median(wall),
        "ms_per_frame_low": low,
        "ms_per_frame_high": high,
        "process_ms_per_frame": statistics.median(rounds[:, 1]),
        "gmac_per_frame": gmac,
    }
