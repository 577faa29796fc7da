"""What tasks share that take an image, and whose explanations are pictures of it."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from handlers.base import Reply, TaskHandler
from handlers.heatmap import heatmap
from handlers.replies import IMAGE, Answer
from handlers.row import Row

Input = TypeVar("Input")


@dataclass(frozen=True)
class Item(Generic[Input]):
    """What the network gets, and whether the caller wants a bare PNG rather than JSON."""

    input: Input
    as_png: bool

    @classmethod
    def of(cls, row: Row, content: Input) -> "Item[Input]":
        return cls(content, row.accepts("image/png"))


class ImageTaskHandler(TaskHandler[Item[Input]]):
    """Explains by integrated gradients (arXiv:1703.01365) of any score."""

    REQUEST: ClassVar[Mapping[str, Any]] = IMAGE

    def attributed(
        self, pixels: Tensor, batch: Tensor, baseline: float, score: Callable[[Tensor], Tensor], as_png: bool
    ) -> Reply:
        """What speaks for `score`, (N, C, H, W) -> (N,), on the way from an image that is `baseline` all over to the
        one in `batch`, (1, C, H, W), laid over its `pixels`, (C, H, W) of uint8: a picture, or what JSON says of it.
        """
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN has no backward pass for an LSTM in eval mode
            attributions, delta = IntegratedGradients(score).attribute(
                batch,
                baselines=torch.full_like(batch, baseline),
                n_steps=self.card["serving"]["explain_steps"],
                internal_batch_size=self.card["serving"]["batch_size"],
                return_convergence_delta=True,
            )
        picture = heatmap(pixels, attributions[0].sum(dim=0).detach().cpu())
        if as_png:
            return Answer(picture, content_type="image/png")
        return {"convergence_delta": float(delta), "heatmap": base64.b64encode(picture).decode()}
