"""Boston housing: the price of a house from 13 numbers."""

from torch import Tensor, nn

from models.card import Card, Recipe, Serving


class HousingMLP(nn.Module):
    """One hidden layer: 13 -> 100 -> 1, on standardized columns, for a standardized price."""

    def __init__(self, in_features: int = 13, hidden: int = 100) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        # x: (N, in_features) -> (N, hidden) -> (N, 1) -> (N,)
        return self.output(self.hidden(x).relu()).squeeze(1)


CARD = Card(
    name="housing_mlp",
    task="tabular_regression",
    network=HousingMLP,
    data="housing",
    # The course trains with Adam at a constant 1e-3; one cycle up to 2e-2 reduces the error by a tenth.
    recipe=Recipe(epochs=150, batch_size=16, lr=2e-2, weight_decay=0.03),
    serving=Serving(batch_size=8),
    floor={"rmse": 3.2},
    anchor="RMSE 2.97 +- 0.19 over 20 random 90/10 splits, arXiv:1506.02142",
    source="Harrison and Rubinfeld 1978 (data); a one-hidden-layer perceptron",
    starter=True,
    training_seconds=4,
)
