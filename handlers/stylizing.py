"""The descent of a picture to where its features are those of one picture, and their statistics those of another."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from handlers.codecs.style import StyleCodec
from handlers.fast import Run
from handlers.replies import BASE64, INTEGER, NUMBER, STRING, array, schema

WEIGHTS = {"content": 1.0, "style": 1.0, "variation": 0.1}
LOSSES = schema(**dict.fromkeys(WEIGHTS, NUMBER))
REPLY: dict[str, Any] = schema(
    model=STRING,
    version=STRING,
    steps=INTEGER,
    size=array(INTEGER),  # width and height of the picture
    sent=array(INTEGER),  # and of the content
    losses=schema(before=LOSSES, after=LOSSES),
    image=BASE64,
)


@dataclass(frozen=True)
class Wish:
    """A request: content and style are (3, H, W) of uint8, each of its own size; `sent` is the width and height that
    the content had."""

    content: Tensor
    style: Tensor
    sent: tuple[int, int]
    steps: int
    as_png: bool


class Descent:
    """L-BFGS on the pixels, from the content on, a step at a time.

    A loss is a share: of the content's features, squared, that the picture misses, and of the style's Gram matrices; so
    that layers and pictures of all sizes compare. Variation is the mean square of differences between neighbours.
    """

    def __init__(self, run: Run, network: Any, codec: StyleCodec, wish: Wish) -> None:
        self.run, self.network, self.codec, self.steps, self.at = run, network, codec, wish.steps, 0
        device = next(network.parameters()).device
        content, style = (codec.normalize(picture.to(device)).unsqueeze(0) for picture in (wish.content, wish.style))
        with torch.no_grad():
            maps, statistics = self._maps(content), self._maps(style)
            self.content = {name: maps[name] for name in network.CONTENT}
            self.style = {name: gram(statistics[name]) for name in network.STYLE}
            self.before = self._losses(content, maps)
        self.picture = content.clone(memory_format=torch.contiguous_format).requires_grad_()  # (1, 3, H, W)
        # No end before the last step: how many there are is the caller's to say.
        self.optimizer = torch.optim.LBFGS(
            [self.picture], max_iter=1, history_size=20, tolerance_grad=0, tolerance_change=0
        )

    def step(self) -> dict[str, Any]:
        """Go one step down; says how far it is, with the loss that it came from."""

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
        return self.at == self.steps

    @property
    def output(self) -> "Descent":
        return self

    def pixels(self) -> Tensor:
        """(3, H, W) of uint8."""
        return self.codec.pixels_of(self.picture.detach()[0]).cpu()

    @torch.no_grad()
    def losses(self) -> dict[str, dict[str, float]]:
        """Of the content that it started from, and of the picture as it is sent: rounded, within bounds."""
        picture = self.codec.normalize(self.pixels().to(self.picture.device)).unsqueeze(0)
        ends = {"before": self.before, "after": self._losses(picture, self._maps(picture))}
        return {end: {name: round(float(loss), 6) for name, loss in losses.items()} for end, losses in ends.items()}

    def _maps(self, picture: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.network.split(self.run(picture), *picture.shape[2:])
        return found

    def _losses(self, picture: Tensor, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        content = torch.stack([missed(maps[name], target) for name, target in self.content.items()]).mean()
        style = torch.stack([missed(gram(maps[name]), target) for name, target in self.style.items()]).mean()
        variation = picture.diff(dim=2).square().mean() + picture.diff(dim=3).square().mean()
        return {"content": content, "style": style, "variation": variation}


def gram(maps: Tensor) -> Tensor:
    """(1, C, pixels) -> (1, C, C): how often which two features come together."""
    return maps @ maps.mT / maps.shape[2]


def missed(found: Tensor, target: Tensor) -> Tensor:
    """The squared distance to the target, as a share of the target's own square."""
    return (found - target).square().sum() / target.square().sum().clamp(min=1e-12)
