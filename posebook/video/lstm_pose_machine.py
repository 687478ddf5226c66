"""LSTM Pose Machines (Luo et al. 2018), untrained: the network that section 2.8.5 is timed against.

Written from the paper, with the sizes of its public code. A frame is encoded by a stack of large
convolutions; a convolutional LSTM of 48 channels reads its features, the heatmaps of the frame
before and where the person is, and a stack of even larger convolutions turns its state into
heatmaps. The first frame has an encoder of its own for the heatmaps that nothing came before.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, FEATURES, HIDDEN = 128, 32, 48
CELL = 8  # pixels of a crop


def _features(width: int, features: int) -> nn.Sequential:
    """ConvNet2: features of a frame, a cell every eight pixels."""
    layers: list[nn.Module] = []
    for inputs in (3, width, width):
        # Caffe rounds the size of a pooled map up.
        pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        layers += [nn.Conv2d(inputs, width, 9, padding=4), nn.ReLU(inplace=True), pool]
    return nn.Sequential(*layers, nn.Conv2d(width, features, 5, padding=2), nn.ReLU(inplace=True))


class LSTMPoseMachine(nn.Module):
    """Heatmaps (T, K + 1, h / 8, w / 8) of a clip (T, 3, h, w), background last, frame by frame.

    K: number of joints.

    Args:
        width: of the large convolutions, 128 as published.
    """

    def __init__(self, joints: int, width: int = WIDTH) -> None:
        super().__init__()
        maps, seen = joints + 1, FEATURES + joints + 2  # the map of the person's place is one more
        self.begin = nn.Sequential(  # ConvNet1: heatmaps of the first frame alone
            _features(width, FEATURES),
            nn.Conv2d(FEATURES, 4 * width, 9, padding=4),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * width, 4 * width, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * width, maps, 1),
        )
        self.encode = _features(width, FEATURES)
        self.first_gates = nn.Conv2d(seen, 3 * HIDDEN, 3, padding=1)  # no cell, nothing to forget
        self.gates_X = nn.Conv2d(seen, 4 * HIDDEN, 3, padding=1)
        self.gates_H = nn.Conv2d(HIDDEN, 4 * HIDDEN, 3, padding=1, bias=False)
        layers: list[nn.Module] = []  # ConvNet3
        for inputs, kernel in ((HIDDEN, 11), (width, 11), (width, 11), (width, 1)):
            layers += [nn.Conv2d(inputs, width, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
        self.decode = nn.Sequential(*layers, nn.Conv2d(width, maps, 1))

    def start(self, picture: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Heatmaps and state (H, c) of the first frame (1, 3, h, w)."""
        seen = self._seen(picture, self.begin(picture))
        i, o, g = self.first_gates(seen).chunk(3, dim=1)
        c = (i.sigmoid() * g.tanh()).tanh()
        H = o.sigmoid() * c
        return self.decode(H), (H, c)

    def step(
        self, picture: Tensor, heatmaps: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Heatmaps and state of the next frame (1, 3, h, w)."""
        H, c = state
        gates = self.gates_X(self._seen(picture, heatmaps)) + self.gates_H(H)
        i, f, o, g = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        H = o.sigmoid() * c.tanh()
        return self.decode(H), (H, c)

    def forward(self, clip: Tensor) -> Tensor:
        heatmaps, state = self.start(clip[:1])
        out = [heatmaps]
        for picture in clip[1:].split(1):
            heatmaps, state = self.step(picture, heatmaps, state)
            out.append(heatmaps)
        return torch.cat(out)

    def _seen(self, picture: Tensor, heatmaps: Tensor) -> Tensor:
        return torch.cat([self.encode(picture), heatmaps, _place(picture)], dim=1)


def _place(picture: Tensor) -> Tensor:
    """A bell about the middle of the crop, where the person is, pooled to the maps' cells."""
    h, w = picture.shape[-2:]
    y = torch.arange(h, device=picture.device) - (h - 1) / 2
    x = torch.arange(w, device=picture.device) - (w - 1) / 2
    bell = torch.exp(-(x**2 + y[:, None] ** 2) / (2 * 21.0**2))
    return F.adaptive_avg_pool2d(bell[None, None], (-(-h // CELL), -(-w // CELL)))
