"""DCGAN: a class-conditional generator of transposed convolutions, and its discriminator."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


class Discriminator(nn.Module):
    """(N, C, S, S) -> (N, 1 + num_classes): a logit, positive for images classified as real, and a logit
    for each class.
    """

    def __init__(self, size: int, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1),  # (N, width, S/2, S/2)
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, kernel_size=4, stride=2, padding=1, bias=False),  # (N, 2 width, S/4, S/4)
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.3),
            nn.Conv2d(2 * width, 1 + num_classes, kernel_size=size // 4),  # (N, 1 + num_classes, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


class Generator(nn.Module):
    """(N, latent + num_classes) -> (N, C, S, S) in -1..1: standard normal numbers, then the one-hot class; S is a
    multiple of 4.
    """

    def __init__(
        self, size: int = 28, channels: int = 1, latent: int = 100, num_classes: int = 10, width: int = 32
    ) -> None:
        super().__init__()
        self.shape, self.num_classes, self.width = (channels, size, size), num_classes, width
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(
                latent + num_classes, 4 * width, kernel_size=size // 4, bias=False
            ),  # (N, 4 width, S/4, S/4)
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),  # (N, 2 width, S/2, S/2)
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, channels, kernel_size=4, stride=2, padding=1),  # (N, C, S, S)
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z[:, :, None, None])

    def discriminator(self) -> Discriminator:
        """Return a new discriminator; it is used in training only."""
        channels, size, _ = self.shape
        return Discriminator(size, channels, self.num_classes, self.width)


CARD = Card(
    name="dcgan",
    task="image_generation",
    network=Generator,
    data="mnist",
    input={"size": 28, "channels": 1, "mean": (0.5,), "std": (0.5,)},
    recipe=Recipe(epochs=25, batch_size=32, lr=5e-4, optimizer="adam", schedule="cosine", augment=("crop",)),
    serving=Serving(batch_size=8),
    floor={"confident": 0.80, "classes": 10},
    anchor="no published figure for 5,000 digits",
    source="Radford et al., arXiv:1511.06434, in a 28x28 form; classes as in Odena et al., arXiv:1610.09585",
    training_seconds=80,
)
