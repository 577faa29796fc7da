"""FCN: a fully convolutional network that scores three maps, coarse to fine, and adds up the scores."""

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving
from models.parts.conv import conv_bn
from models.parts.efficientnet import Maps
from models.parts.segmentation import Segmenter


class FCN(Segmenter):
    """1x1 "score" layers on maps of strides 8, 16 and 32; transposed convolutions that begin as bilinear interpolation
    double the coarser scores, to which the finer ones are added. `stride` selects the output: 32 (FCN-32s, the coarsest
    scores alone), 16 (FCN-16s) or 8 (FCN-8s). All three have the same weights, so that a trained network can be run at
    any of them. Images of 128 pixels are enlarged to 256: strokes of 3 to 6 pixels are finer than stride 8.
    """

    STRIDES = (32, 16, 8)
    WIDTH = 96

    def __init__(self, num_classes: int = 21, stride: int = 8) -> None:
        super().__init__()
        if stride not in self.STRIDES:
            raise ValueError(f"no FCN-{stride}s; there are: {', '.join(f'{one}s' for one in self.STRIDES)}")
        self.stride = stride
        self.features = Maps()
        coarsest_first = self.features.widths[:0:-1]  # of strides 32, 16 and 8
        self.seen = nn.ModuleList(conv_bn(width, self.WIDTH) for width in coarsest_first)
        self.score = nn.ModuleList(nn.Conv2d(self.WIDTH, num_classes, kernel_size=1) for _ in self.STRIDES)
        self.doublings = nn.ModuleList(doubling(num_classes) for _ in self.STRIDES[1:])

    def scores(self, images: Tensor) -> dict[int, Tensor]:
        """Return the scores by stride; S is a multiple of 32."""
        maps = self.features(images)[:0:-1]  # (N, 192, S/32, S/32), (N, 112, S/16, S/16), (N, 40, S/8, S/8)
        coarse, *finer = (score(seen(one)) for score, seen, one in zip(self.score, self.seen, maps, strict=True))
        found = {32: coarse}
        for stride, own, double in zip(self.STRIDES[1:], finer, self.doublings, strict=True):
            if stride >= self.stride:
                coarse = found[stride] = double(coarse) + own  # (N, classes, S / stride, S / stride)
        return found


def doubling(channels: int) -> nn.ConvTranspose2d:
    """Return a layer (N, C, H, W) -> (N, C, 2H, 2W), initialized as bilinear interpolation of each channel."""
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
    recipe=Recipe(
        epochs=5,
        batch_size=8,
        lr=2e-3,
        weight_decay=5e-4,
        augment=("invert", "shift"),
        precision="bf16",
        pretrained="efficientnet_lite0",
        backbone_lr=0.3,
        kept_layers=7,
    ),
    serving=Serving(batch_size=8, channels_last=True, explain_steps=16),
    floor={"miou": 0.75, "gain_over_32s": 0.0},
    anchor="mIoU 63.6 (32s), 65.0 (16s), 65.5 (8s) on VOC11's validation part, VGG-16 pretrained",
    source="Long et al., arXiv:1411.4038, all three outputs trained at once; ImageNet weights: Apache-2.0",
    training_seconds=453,
)
