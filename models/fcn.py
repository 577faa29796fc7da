"""FCN: a fully convolutional network scores every place of three maps, coarse to fine, and adds the scores up."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.conv import conv_bn
from models.parts.segmentation import Segmenter


class FCN(Segmenter):
    """1x1 "score" layers on maps of strides 8, 16 and 32; transposed convolutions that begin as bilinear interpolation
    double the coarser scores, onto which the finer ones are added. `stride` says which sum is the answer: 32 (FCN-32s,
    the coarsest scores alone), 16 (FCN-16s) or 8 (FCN-8s). All three have the same weights, so that a trained network
    answers at any of them. Images of 128 pixels are enlarged to 256: strokes of 3 to 6 pixels are finer than 8.
    """

    STRIDES = (32, 16, 8)
    WIDTHS = (24, 48, 96, 160)
    DEPTHS = (1, 2, 1)  # convolutions of a stage, after the one that halves

    def __init__(self, num_classes: int = 21, stride: int = 8) -> None:
        super().__init__()
        if stride not in self.STRIDES:
            raise ValueError(f"no FCN-{stride}s; there are: {', '.join(f'{one}s' for one in self.STRIDES)}")
        self.stride = stride
        first, *wider = self.WIDTHS
        self.stem = nn.Sequential(  # (N, 3, S, S) -> (N, 24, S/4, S/4)
            nn.Conv2d(3, first, kernel_size=7, stride=4, padding=3, bias=False), nn.BatchNorm2d(first), nn.ReLU()
        )
        self.stages = nn.ModuleList(  # to strides 8, 16, 32; one place sees 31, 111 and 207 pixels
            nn.Sequential(conv_bn(before, width, 2), *(conv_bn(width, width) for _ in range(depth)))
            for (before, width), depth in zip(pairwise(self.WIDTHS), self.DEPTHS, strict=True)
        )
        self.score = nn.ModuleList(nn.Conv2d(width, num_classes, kernel_size=1) for width in reversed(wider))
        self.doublings = nn.ModuleList(doubling(num_classes) for _ in self.STRIDES[1:])

    def scores(self, images: Tensor) -> dict[int, Tensor]:
        """S is a multiple of 32."""
        features = self.stem(images)
        maps = []
        for stage in self.stages:
            features = stage(features)
            maps.append(features)  # (N, 48, S/8, S/8), (N, 96, S/16, S/16), (N, 160, S/32, S/32)
        total = self.score[0](features)
        found = {32: total}
        for stride, finer, score, double in zip((16, 8), maps[1::-1], self.score[1:], self.doublings, strict=True):
            if stride >= self.stride:
                total = double(total) + score(finer)  # (N, classes, S / stride, S / stride)
                found[stride] = total
        return found


def doubling(channels: int) -> nn.ConvTranspose2d:
    """(N, C, H, W) -> (N, C, 2H, 2W): bilinear interpolation of each channel, until it learns better."""
    layer = nn.ConvTranspose2d(channels, channels, kernel_size=4, stride=2, padding=1, bias=False)
    tent = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[range(channels), range(channels)] = torch.outer(tent, tent)
    return layer


CARD = Card(
    name="fcn",
    task="semantic_segmentation",
    network=FCN,
    data="voc_digits",
    input={"size": 256, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=12, batch_size=8, lr=4e-3, weight_decay=5e-4, augment=("invert", "shift"), precision="bf16"),
    serving=Serving(batch_size=8, channels_last=True, explain_steps=16),
    floor={"miou": 0.75, "gain_over_32s": 0.0},
    anchor="mIoU 63.6 (32s), 65.0 (16s), 65.5 (8s) on VOC11's validation part, VGG-16 pretrained",
    source="Long et al., arXiv:1411.4038, with a small trunk, all three outputs trained at once",
)
