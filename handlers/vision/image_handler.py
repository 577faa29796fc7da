"""Base class of handlers that take an image and explain a score as a heatmap over it."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from handlers.base import ResponseLike, TaskHandler
from handlers.request import Request
from handlers.response import IMAGE, Response
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.vision.drawing import heatmap

Value = TypeVar("Value")


@dataclass(frozen=True)
class ImageInput(Generic[Value]):
    """The decoded `value`, and whether the client accepts only a PNG rather than JSON."""

    value: Value
    as_png: bool

    @classmethod
    def from_request(cls, request: Request, value: Value) -> "ImageInput[Value]":
        """Read the content type that the client accepts."""
        return cls(value, request.accepts("image/png"))


class ImageExplanationHandler(TaskHandler[ImageInput[Value]]):
    """Explains any score of an image by integrated gradients (arXiv:1703.01365)."""

    request_schema: ClassVar[Mapping[str, Any]] = IMAGE

    def explain_score(
        self,
        pixels: Tensor,
        batch: Tensor,
        baseline: float,
        score: Callable[[Tensor], Tensor],
        as_png: bool,
        batch_size: int | None = None,
    ) -> ResponseLike:
        """Return the attributions of `score` over the image's `pixels`, as a PNG or as members of the JSON response.

        score: (N, C, H, W) -> (N,); the path leads from an image that is `baseline` everywhere to the one in `batch`,
        (1, C, H, W). pixels: (C, H, W) of uint8. Gradients of `batch_size` images are computed at once, by default as
        many as the model predicts.
        """
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN has no backward pass for an LSTM in eval mode
            attributions, delta = integrated_gradients(
                score,
                batch,
                torch.full_like(batch, baseline),
                steps=self.card["serving"]["explain_steps"],
                batch_size=batch_size or self.card["serving"]["batch_size"],
            )
        picture = heatmap(pixels, attributions[0].sum(dim=0).detach().cpu())
        if as_png:
            return Response(picture, content_type="image/png")
        return {"convergence_delta": delta, "heatmap": base64.b64encode(picture).decode()}
