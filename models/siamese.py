"""One encoder for two faces: pictures of one person come to lie close together on the unit sphere."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.card import Card, Recipe, Serving


def block(in_channels: int, channels: int) -> nn.Sequential:
    """Two 3x3 convolutions, then half the height and width."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


class Siamese(nn.Module):
    """Four blocks, a grid of 4x4 cells that keeps where in the face something was seen, and a linear layer."""

    def __init__(self, embedding_dim: int = 128) -> None:
        super().__init__()
        self.features = nn.Sequential(  # (N, 1, 64, 64)
            block(1, 16),  # (N, 16, 32, 32)
            block(16, 32),  # (N, 32, 16, 16)
            block(32, 64),  # (N, 64, 8, 8)
            block(64, 128),  # (N, 128, 4, 4)
        )
        self.dropout = nn.Dropout(0.3)
        self.embedding = nn.Linear(128 * 4 * 4, embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        # One face a row, or several: (N, 1, 64, 64) -> (N, D), (N, K, 1, 64, 64) -> (N, K, D)
        features = self.features(x.flatten(0, -4)).flatten(1)
        embeddings = normalize(self.embedding(self.dropout(features)))
        return torch.unflatten(embeddings, 0, x.shape[:-3])


CARD = Card(
    name="siamese",
    task="face_verification",
    network=Siamese,
    data="orl_faces",
    input={"size": 64, "channels": 1, "mean": (0.5,), "std": (0.25,)},
    # Batches of 8 people with 4 pictures each.
    recipe=Recipe(epochs=60, batch_size=32, lr=2e-3, weight_decay=1e-2, augment=("flip", "affine", "erase")),
    serving=Serving(batch_size=8, explain_steps=16),
    floor={"nearest_neighbour": 0.98, "equal_error_rate": 0.05},
    anchor="99.6 % verification accuracy on LFW (FaceNet)",
    source="Schroff et al., arXiv:1503.03832: triplets with a margin and semi-hard mining; a small network of our own",
)
