"""A picture and a style -> the picture in that style."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from handlers import codecs
from handlers.base import NOT_FINITE, Reply
from handlers.codecs.image import image_bytes, png
from handlers.codecs.style import LARGEST, SMALLEST, StyleCodec
from handlers.codecs.upload import file_bytes
from handlers.errors import BadRequest
from handlers.replies import BASE64, BINARY, STRING, Answer, schema
from handlers.row import Row
from handlers.streaming import JSON, StreamingHandler
from handlers.stylizing import REPLY, Descent, Wish

STEPS, MOST = 50, 500
SHORT = 64  # characters: what is no longer is no picture, but a name


class ImageStylization(StreamingHandler[Wish, Descent]):
    """`style` is a picture, or the name of one that the archive brings; `steps` and `size` say how long it takes."""

    REQUEST: ClassVar[Mapping[str, Any]] = {
        "image/*": {"schema": BINARY},  # with ?style=<name>
        "multipart/form-data": {"schema": schema(image=BINARY, style={"anyOf": [BINARY, STRING]})},
        "application/json": {"schema": schema(image=BASE64, style={"anyOf": [BASE64, STRING]})},
    }
    REPLY: ClassVar[Mapping[str, Any]] = REPLY
    NOT_EXPLAINED = "the picture is not a decision that has reasons; the losses in the reply say what it was made for"

    def setup(self) -> None:
        self.codec = codecs.load(StyleCodec, self.folder)
        self.run = self.network  # in float32, where it can be differentiated

    def decode(self, row: Row) -> Wish:
        steps = row.whole("steps", 1, MOST) or STEPS
        size = row.whole("size", SMALLEST, LARGEST) or self.codec.size
        content, sent = self.codec.picture(image_bytes(row.field("image")), size, "image")
        style, _ = self.codec.picture(self._style(row), size, "style")
        return Wish(content, style, sent, steps, row.accepts("image/png"))

    def _style(self, row: Row) -> bytes:
        """The file of the picture."""
        name = row.option("style")
        if name is None:
            raise BadRequest("style", f"no style: send a picture, or one of {', '.join(self.codec.styles)}")
        if len(name) < SHORT or "style" in row.query:
            return self.codec.style(name)
        return file_bytes(row.field("style"), "style")

    def first_input(self, item: Wish) -> Tensor:
        return self.codec.normalize(item.content).unsqueeze(0)

    def content_type(self, item: Wish) -> str:
        return "image/png" if item.as_png else JSON

    def begin(self, item: Wish) -> Descent:
        return Descent(self.run, self.network, self.codec, item)

    def step(self, jobs: Sequence[Descent]) -> list[dict[str, Any]]:
        return [job.step() for job in jobs]  # each by itself: they are of different sizes

    def encode(self, output: Descent, item: Wish) -> Reply:
        if not output.picture.isfinite().all():
            return NOT_FINITE
        picture = png(output.pixels())
        if item.as_png:
            return Answer(picture, content_type="image/png")
        size = list(item.content.shape[:0:-1])  # width, height
        more = {"steps": item.steps, "size": size, "sent": list(item.sent), "losses": output.losses()}
        return {**more, "image": base64.b64encode(picture).decode()}
