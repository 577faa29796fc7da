"""The regressor 13 -> 100 -> 1."""

from torch import Tensor, nn


class Regressor(nn.Module):
    """Standardized columns in, a standardized number out."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(13, 100), nn.Linear(100, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.hidden(x).relu()).squeeze(1)
