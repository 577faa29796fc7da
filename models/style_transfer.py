"""Gatys' style transfer: the convolutions of VGG16, whose features define the loss of an image."""

from torch import Tensor, cat, nn

from models.card import Card, Recipe, Serving

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512,))  # of VGG16; later layers cost more and change little here


class Features(nn.Module):
    """(N, 3, H, W) -> (N, D): the maps that define style and content, flattened and concatenated.

    Pooling takes the average, not the maximum, so that gradients reach every pixel.
    """

    STYLE = ("conv1_1", "conv2_1", "conv3_1", "conv4_1")
    CONTENT = ("conv3_3",)

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        self.widths: dict[str, int] = {}
        channels = 3
        for block, widths in enumerate(BLOCKS, start=1):
            for place, width in enumerate(widths, start=1):
                name = f"conv{block}_{place}"
                self.features[name] = nn.Conv2d(channels, width, kernel_size=3, padding=1)
                channels = self.widths[name] = width
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        maps: list[Tensor] = []  # (N, C, H / s, W / s), s being 1, 2, 4 and 8 in the four blocks
        for name, layer in self.features.items():
            if name.endswith("_1") and maps:
                x = self.pool(x)
            x = layer(x).relu()
            if name in self.STYLE + self.CONTENT:
                maps.append(x.flatten(1))
        return cat(maps, dim=1)

    def split(self, features: Tensor, height: int, width: int) -> dict[str, Tensor]:
        """Split the output of `forward` for (N, 3, height, width) by layer: (N, C, pixels of the layer)."""
        found, start = {}, 0
        for name, channels in self.widths.items():
            if name.endswith("_1") and name != "conv1_1":
                height, width = height // 2, width // 2
            if name in self.STYLE + self.CONTENT:
                end = start + channels * height * width
                found[name] = features[:, start:end].view(-1, channels, height * width)
                start = end
        return found


CARD = Card(
    name="style_transfer",
    task="image_stylization",
    network=Features,
    data="styles",
    input={"size": 128, "channels": 3, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    recipe=Recipe(epochs=0, batch_size=1, lr=0.0, pretrained="hed_vgg16"),  # the published weights, unchanged
    serving=Serving(batch_size=8, continuous_batching=True, response_timeout=120),
    floor={"style_gain": 0.99, "content_error": 0.75},
    anchor="no published figure: Gatys et al. show pictures",
    source="Gatys et al., arXiv:1508.06576, on the VGG16 that Xie & Tu (arXiv:1504.06375) tuned to find edges",
    training_seconds=0,
)
