"""Section 2.4: the base network for single pictures, encoder, spatial pyramid and decoder.

Shapes at the thesis' size: a crop (3, 256, 256) becomes features X (2048, 8, 8) and heatmaps
(K, 64, 64). The `laptop` profile has 128 pixels, 256 features on 4 x 4 cells, 32 x 32 heatmaps.
"""

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Features X (B, C, h, w) of pictures (B, 3, 32 h, 32 w): a ResNet without its last layer.

    The thesis' "first four residual blocks" are conv2_x to conv5_x, the whole trunk.

    Args:
        width: 64 and up for ResNet-50 (bottleneck blocks, C = 2048); below, a small one that begins
            with `width` channels and has `blocks` basic blocks a stage (two: ResNet-18), C = 8
            width.
        imagenet: ResNet-50 with weights that torchvision downloads when they are asked for.
    """

    def __init__(self, width: int = 64, blocks: int = 2, imagenet: bool = False) -> None:
        super().__init__()
        if imagenet and width < 64:
            raise ValueError("ImageNet's weights are those of ResNet-50: use a width of 64")
        if width >= 64:
            self.trunk = _trunk_of_resnet50(imagenet)
            self.channels = 2048
        else:
            self.trunk = _small_resnet(width, blocks)
            self.channels = 8 * width

    def forward(self, pictures: Tensor) -> Tensor:
        return self.trunk(pictures.contiguous(memory_format=torch.channels_last))


def _trunk_of_resnet50(imagenet: bool) -> nn.Sequential:
    from torchvision.models import ResNet50_Weights, resnet50  # a second, so only where it is used

    net = resnet50(weights=ResNet50_Weights.IMAGENET1K_V1 if imagenet else None)
    stem = [net.conv1, net.bn1, net.relu, net.maxpool]
    return nn.Sequential(*stem, net.layer1, net.layer2, net.layer3, net.layer4)


def _small_resnet(width: int, blocks: int) -> nn.Sequential:
    """torchvision's ResNets begin with 64 channels and no other number."""
    from torchvision.models.resnet import BasicBlock

    layers = [nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(width)]
    layers += [nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2, padding=1)]
    inputs = width
    for stage in range(4):
        outputs = width * 2**stage
        for block in range(blocks):
            stride = 2 if stage and block == 0 else 1
            skip = None
            if stride > 1 or inputs != outputs:
                skip = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )
            layers.append(BasicBlock(inputs, outputs, stride, skip))
            inputs = outputs
    for layer in layers:
        for part in layer.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(*layers)


def convolution(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the map's size, batch normalisation, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Branches(nn.Module):
    """Reduce and split: a point-wise convolution to a quarter of the channels, then M = 4 kernels.

    X (B, C, h, w) becomes M maps of C / 4 channels, one behind the other: (B, C, h, w) again.

    Args:
        dilations: None stands for a kernel of 1 x 1, a number for a 3 x 3 one with this dilation.
    """

    def __init__(self, channels: int, dilations: tuple[int | None, ...] = (None, 1, 2, 4)) -> None:
        super().__init__()
        self.reduced = channels // 4
        self.reduce = convolution(channels, self.reduced, 1)
        self.split = nn.ModuleList(
            convolution(self.reduced, self.reduced, 1)
            if d is None
            else convolution(self.reduced, self.reduced, 3, d)
            for d in dilations
        )

    def forward(self, X: Tensor) -> Tensor:
        x = self.reduce(X)
        return torch.cat([branch(x) for branch in self.split], dim=1)


class Pyramid(nn.Module):
    """The dilated spatial pyramid of Figure 2.2: reduce, split, merge, and the input on top."""

    def __init__(self, channels: int, dilations: tuple[int | None, ...] = (None, 1, 2, 4)) -> None:
        super().__init__()
        self.branches = Branches(channels, dilations)

    def forward(self, X: Tensor) -> Tensor:
        return X + self.branches(X)


class Decoder(nn.Module):
    """Three deconvolutions, each of which doubles the map, and one map a joint.

    Features (B, C, h, w) become heatmaps (B, K, 8 h, 8 w).
    """

    def __init__(self, channels: int, width: int, joints: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (channels, width, width):
            deconvolution = nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=False)
            nn.init.normal_(deconvolution.weight, std=0.001)
            layers += [deconvolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.enlarge = nn.Sequential(*layers)
        self.last = nn.Conv2d(width, joints, 1)
        nn.init.normal_(self.last.weight, std=0.001)
        nn.init.zeros_(self.last.bias)

    def forward(self, H: Tensor) -> Tensor:
        return self.last(self.enlarge(H))


class Regressor(nn.Module):
    """Table 2.4's other head: joints (B, K, 2), in crops from -1/2 to 1/2, by one layer."""

    def __init__(self, channels: int, joints: int) -> None:
        super().__init__()
        self.last = nn.Linear(channels, 2 * joints)
        nn.init.normal_(self.last.weight, std=0.001)
        nn.init.zeros_(self.last.bias)

    def forward(self, H: Tensor) -> Tensor:
        return self.last(H.mean((-1, -2))).unflatten(1, (-1, 2))


class BaseNetwork(nn.Module):
    """Encoder, pyramid and decoder: heatmaps (B, K, 8 h, 8 w) of pictures (B, 3, 32 h, 32 w)."""

    def __init__(self, encoder: Encoder, pyramid: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.pyramid, self.decoder = encoder, pyramid, decoder

    def forward(self, pictures: Tensor) -> Tensor:
        return self.decoder(self.pyramid(self.encoder(pictures)))


def load_matching(module: nn.Module, state: dict[str, Tensor]) -> list[str]:
    """Take from `state` every weight of the same name and shape; returns the names of the rest."""
    own = module.state_dict()
    fitting = {
        name: value
        for name, value in state.items()
        if name in own and own[name].shape == value.shape
    }
    module.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting]
