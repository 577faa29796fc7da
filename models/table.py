"""Any table: a number or classes from columns of numbers, categories and dates, by an ensemble of small perceptrons."""

import torch
from torch import Tensor, nn

from models.card import Card, Recipe, Serving


class MemberLinear(nn.Module):
    """A linear layer of each member of an ensemble: (E, N, in_features) -> (E, N, out_features)."""

    def __init__(self, members: int, in_features: int, out_features: int) -> None:
        super().__init__()
        bound = in_features**-0.5
        self.weight = nn.Parameter(torch.empty(members, in_features, out_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, out_features).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class TableNetwork(nn.Module):
    """Perceptrons of two hidden layers, each beside a linear layer (Cheng et al. 2016), averaged.

    (N, in_features) -> a standardized number each, (N,); with classes their log-probabilities, (N, num_classes). In
    training the members' own outputs, (N, E) or (N, E, num_classes): each has its own loss, or they would not differ.
    """

    def __init__(self, in_features: int, num_classes: int = 0, members: int = 8, hidden: int = 64) -> None:
        super().__init__()
        self.members, self.num_classes = members, num_classes
        outputs = max(num_classes, 1)
        self.linear = MemberLinear(members, in_features, outputs)
        self.layers = nn.Sequential(
            MemberLinear(members, in_features, hidden),
            nn.ReLU(),
            nn.Dropout(0.1),
            MemberLinear(members, hidden, hidden),
            nn.ReLU(),
            nn.Dropout(0.1),
            MemberLinear(members, hidden, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        rows = x.expand(self.members, *x.shape)  # (E, N, in_features)
        outputs = (self.linear(rows) + self.layers(rows)).transpose(0, 1)  # (N, E, outputs)
        if not self.num_classes:
            outputs = outputs.squeeze(2)
            return outputs if self.training else outputs.mean(dim=1)
        outputs = outputs.log_softmax(dim=2)
        return outputs if self.training else outputs.exp().mean(dim=1).clamp(min=1e-30).log()


CARD = Card(
    name="table",
    task="tabular_prediction",
    network=TableNetwork,
    data="breast_cancer",
    recipe=Recipe(epochs=100, batch_size=16, lr=2e-3, schedule="constant", weight_decay=0.1, patience=8),
    serving=Serving(batch_size=32),
    floor={"accuracy": 0.93},
    anchor="on breast_cancer, accuracy 0.975 of a linear model in ten folds, doi:10.1117/12.148698",
    source="Wisconsin breast cancer, Street et al. 1993 (data); an ensemble of perceptrons with a linear path",
    training_seconds=30,
)
