"""A small C3D: 3x3x3 convolutions over clips of 16 frames learn motion and shape alike."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


def block(in_channels: int, channels: int, pool: tuple[int, int, int]) -> nn.Sequential:
    """A convolution over time, height and width, then max pooling over `pool` (frames, rows, columns)."""
    return nn.Sequential(
        nn.Conv3d(in_channels, channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(),
        nn.MaxPool3d(pool),
    )


class C3D(nn.Module):
    """Four blocks, of which the first does not pool time, so that early layers keep every frame; dropout, linear."""

    def __init__(self, num_classes: int = 101) -> None:
        super().__init__()
        self.features = nn.Sequential(  # (N, 3, 16, 32, 32)
            block(3, 16, (1, 2, 2)),  # (N, 16, 16, 16, 16)
            block(16, 32, (2, 2, 2)),  # (N, 32, 8, 8, 8)
            block(32, 64, (2, 2, 2)),  # (N, 64, 4, 4, 4)
            block(64, 128, (2, 2, 2)),  # (N, 128, 2, 2, 2)
        )
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(128 * 2 * 2 * 2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(x).flatten(1)))  # (N, num_classes)


CARD = Card(
    name="c3d",
    task="video_classification",
    network=C3D,
    data="ucf101_motions",
    input={"frames": 16, "size": 32, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    # No flips: a mirrored clip moves in the opposite direction, which is another class.
    recipe=Recipe(epochs=10, batch_size=32, lr=3e-3, weight_decay=1e-2, augment=("crop",)),
    serving=Serving(batch_size=8, explain_steps=16),
    floor={"accuracy": 0.90},
    anchor="about 45-52 % on UCF-101, from scratch",
    source="Tran et al., arXiv:1412.0767, in a small form: 32x32, four convolutions",
    training_seconds=81,
)
