"""Optimization of an image towards the features of one image and the feature statistics of another.

Gatys et al., arXiv:1508.06576.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from handlers.codecs.style import StyleCodec
from handlers.response import BASE64, INTEGER, NUMBER, STRING, array, schema
from handlers.runtime.eager import OptimizedNetwork

WEIGHTS = {"content": 1.0, "style": 1.0, "variation": 0.1}
LOSSES = schema(**dict.fromkeys(WEIGHTS, NUMBER))
RESPONSE_SCHEMA: dict[str, Any] = schema(
    model=STRING,
    version=STRING,
    steps=INTEGER,
    size=array(INTEGER),  # width and height of the picture
    sent=array(INTEGER),  # and of the content
    losses=schema(before=LOSSES, after=LOSSES),
    image=BASE64,
)


@dataclass(frozen=True)
class StylizationInput:
    """Two images, (3, H, W) of uint8, each of its own size; `sent` is the width and height of the content as sent."""

    content: Tensor
    style: Tensor
    sent: tuple[int, int]
    steps: int
    as_png: bool


class StyleOptimization:
    """L-BFGS on the pixels, starting from the content, a step at a time.

    A loss is a relative squared error, of the content's features and of the style's Gram matrices, so that layers and
    images of all sizes are comparable. Variation is the mean square of differences between neighbours.
    """

    def __init__(
        self, optimized_network: OptimizedNetwork, network: Any, codec: StyleCodec, decoded: StylizationInput
    ) -> None:
        self.optimized_network, self.network, self.codec = optimized_network, network, codec
        self.steps, self.at = decoded.steps, 0
        device = next(network.parameters()).device
        content, style = (
            codec.normalize(picture.to(device)).unsqueeze(0) for picture in (decoded.content, decoded.style)
        )
        with torch.no_grad():
            maps, statistics = self._maps(content), self._maps(style)
            self.content = {name: maps[name] for name in network.CONTENT}
            self.style = {name: gram_matrix(statistics[name]) for name in network.STYLE}
            self.before = self._losses(content, maps)
        self.picture = content.clone(memory_format=torch.contiguous_format).requires_grad_()  # (1, 3, H, W)
        # Never ends before the last step: the client chooses how many there are.
        self.optimizer = torch.optim.LBFGS(
            [self.picture], max_iter=1, history_size=20, tolerance_grad=0, tolerance_change=0
        )

    def step(self) -> dict[str, Any]:
        """Take one step; return its number, and the loss before it (None if it is not finite)."""

        def objective() -> Tensor:
            self.optimizer.zero_grad()
            losses = self._losses(self.picture, self._maps(self.picture))
            loss = torch.stack([weight * losses[name] for name, weight in WEIGHTS.items()]).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        reached: Any = self.optimizer.step(objective)  # type: ignore[no-untyped-call]
        loss = float(reached.detach())
        self.at += 1
        return {"step": self.at, "of": self.steps, "loss": loss if math.isfinite(loss) else None}

    @property
    def done(self) -> bool:
        """True after the last step."""
        return self.at == self.steps

    @property
    def output(self) -> "StyleOptimization":
        """The optimization itself, from which `encode` takes picture and losses."""
        return self

    def pixels(self) -> Tensor:
        """Return the picture, (3, H, W) of uint8."""
        return self.codec.pixels_of(self.picture.detach()[0]).cpu()

    @torch.no_grad()
    def losses(self) -> dict[str, dict[str, float]]:
        """Return the losses of the content, the starting point, and of the picture as sent: rounded, within bounds."""
        picture = self.codec.normalize(self.pixels().to(self.picture.device)).unsqueeze(0)
        stages = {"before": self.before, "after": self._losses(picture, self._maps(picture))}
        return {
            stage: {name: round(float(loss), 6) for name, loss in losses.items()} for stage, losses in stages.items()
        }

    def _maps(self, picture: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = self.network.split(self.optimized_network(picture), *picture.shape[2:])
        return maps

    def _losses(self, picture: Tensor, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        content = torch.stack([relative_error(maps[name], target) for name, target in self.content.items()]).mean()
        style = torch.stack(
            [relative_error(gram_matrix(maps[name]), target) for name, target in self.style.items()]
        ).mean()
        variation = picture.diff(dim=2).square().mean() + picture.diff(dim=3).square().mean()
        return {"content": content, "style": style, "variation": variation}


def gram_matrix(maps: Tensor) -> Tensor:
    """(1, C, pixels) -> (1, C, C): the mean product of each two features."""
    return maps @ maps.mT / maps.shape[2]


def relative_error(values: Tensor, target: Tensor) -> Tensor:
    """Return the squared error relative to the square of the target."""
    return (values - target).square().sum() / target.square().sum().clamp(min=1e-12)
