"""Image stylization: an image and a style -> the image in that style."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from handlers import codecs
from handlers.base import NOT_FINITE, ResponseLike
from handlers.codecs.image import image_bytes, png
from handlers.codecs.style import MAX_SIDE, MIN_SIDE, StyleCodec
from handlers.codecs.upload import file_bytes
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import BASE64, BINARY, STRING, Response, schema
from handlers.streaming import JSON, StreamingHandler
from handlers.vision.style_optimization import RESPONSE_SCHEMA, StyleOptimization, StylizationInput

STEPS, MAX_STEPS = 50, 500
MAX_NAME = 64  # characters: anything shorter is too small for an image, and must be a name


class ImageStylization(StreamingHandler[StylizationInput, StyleOptimization]):
    """`style` is an image, or the name of one in the archive; the time depends on `steps` and `size`."""

    request_schema: ClassVar[Mapping[str, Any]] = {
        "image/*": {"schema": BINARY},  # with ?style=<name>
        "multipart/form-data": {"schema": schema(image=BINARY, style={"anyOf": [BINARY, STRING]})},
        "application/json": {"schema": schema(image=BASE64, style={"anyOf": [BASE64, STRING]})},
    }
    response_schema: ClassVar[Mapping[str, Any]] = RESPONSE_SCHEMA
    steps_together: ClassVar[bool] = False  # their sizes differ
    no_explanation_reason = (
        "the picture is not a decision that has reasons; the losses in the reply say what it was made for"
    )

    def setup(self) -> None:
        """Load the codec. The network runs in float32, which can be differentiated."""
        self.codec = codecs.load(StyleCodec, self.folder)
        self.optimized_network = self.network

    def decode(self, request: Request) -> StylizationInput:
        """Return both images at the requested size."""
        steps = request.integer("steps", 1, MAX_STEPS) or STEPS
        size = request.integer("size", MIN_SIDE, MAX_SIDE) or self.codec.size
        content, sent = self.codec.picture(image_bytes(request.field("image")), size, "image")
        style, _ = self.codec.picture(self._style(request), size, "style")
        return StylizationInput(content, style, sent, steps, request.accepts("image/png"))

    def _style(self, request: Request) -> bytes:
        """Return the image file of the style."""
        name = request.option("style")
        if name is None:
            raise BadRequest("style", f"no style: send a picture, or one of {', '.join(self.codec.styles)}")
        if len(name) < MAX_NAME or "style" in request.query:
            return self.codec.style(name)
        return file_bytes(request.field("style"), "style")

    def first_input(self, decoded: StylizationInput) -> Tensor:
        """Return the normalized content, (1, 3, H, W)."""
        return self.codec.normalize(decoded.content).unsqueeze(0)

    def content_type(self, decoded: StylizationInput) -> str:
        """Return the type of the image, or of the JSON that holds it."""
        return "image/png" if decoded.as_png else JSON

    def begin(self, decoded: StylizationInput) -> StyleOptimization:
        """Return the optimization, which starts from the content."""
        return StyleOptimization(self.optimized_network, self.network, self.codec, decoded)

    def step(self, jobs: Sequence[StyleOptimization]) -> list[dict[str, Any]]:
        """Take one step of each optimization."""
        return [job.step() for job in jobs]

    def encode(self, output: StyleOptimization, decoded: StylizationInput) -> ResponseLike:
        """Return the image and the losses before and after."""
        if not output.picture.isfinite().all():
            return NOT_FINITE
        picture = png(output.pixels())
        if decoded.as_png:
            return Response(picture, content_type="image/png")
        size = list(decoded.content.shape[:0:-1])  # width, height
        facts = {"steps": decoded.steps, "size": size, "sent": list(decoded.sent), "losses": output.losses()}
        return {**facts, "image": base64.b64encode(picture).decode()}
