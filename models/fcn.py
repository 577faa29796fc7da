"""FCN: a fully convolutional network scores every place of three maps, coarse to fine, and adds the scores up."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from models.card import Card, Recipe, Serving
from models.parts.conv import Trunk, conv_bn
from models.parts.segmentation import Segmenter


class FCN(Segmenter):
    """1x1 "score" layers on maps of strides 8, 16 and 32; transposed convolutions that begin as bilinear interpolation
    double the coarser scores, onto which the finer ones are added. `stride` says which sum is the answer: 32 (FCN-32s,
    the coarsest scores alone), 16 (FCN-16s) or 8 (FCN-8s). All three have the same weights, so that the stride of a
    trained network can be changed; what is finer than the answer is left out of it.
    """

    STRIDES = (32, 16, 8)
    WIDTHS = (32, 64, 128, 192)

    def __init__(self, num_classes: int = 21, stride: int = 8) -> None:
        super().__init__()
        if stride not in self.STRIDES:
            raise ValueError(f"no FCN-{stride}s; there are: {', '.join(f'{one}s' for one in self.STRIDES)}")
        self.stride = stride
        self.trunk = Trunk(self.WIDTHS)
        self.context = conv_bn(self.WIDTHS[-1], self.WIDTHS[-1])  # what VGG's first dense layer became in the paper
        self.scores = nn.ModuleList(nn.Conv2d(width, num_classes, kernel_size=1) for width in self.WIDTHS[:0:-1])
        self.doubles = nn.ModuleList(doubling(num_classes) for _ in self.STRIDES[1:])

    def answers(self, images: Tensor) -> dict[int, Tensor]:
        """S is a multiple of 32."""
        _, *finer, coarsest = self.trunk(images)
        maps = [self.context(coarsest), *reversed(finer)]  # (N, width, S / stride, S / stride)
        total = self.scores[0](maps[0])  # (N, classes, S / 32, S / 32)
        found = {32: total}
        for stride, features, score, double in zip(
            self.STRIDES[1:], maps[1:], self.scores[1:], self.doubles, strict=True
        ):
            if stride < self.stride:
                break
            total = double(total) + score(features)
            found[stride] = total
        return {
            stride: interpolate(one, scale_factor=float(stride), mode="bilinear", align_corners=False)
            for stride, one in found.items()
        }


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
    recipe=Recipe(epochs=20, batch_size=16, lr=5e-3, weight_decay=5e-4, augment=("invert", "shift"), precision="bf16"),
    serving=Serving(batch_size=8, channels_last=True, explain_steps=16),
    floor={"miou": 0.75, "gain_over_32s": 0.0},
    anchor="mIoU 63.6 (32s), 65.0 (16s), 65.5 (8s) on VOC11's validation part, VGG-16 pretrained",
    source="Long et al., arXiv:1411.4038, with a small trunk, all three outputs trained at once",
)
