"""Image translation: an image of one domain -> the same image in another domain."""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import ResponseLike, TaskHandler
from handlers.codecs.image import image_bytes, png
from handlers.codecs.letterbox import LetterboxCodec, Letterboxed
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import BASE64, IMAGE, STRING, Response, schema
from handlers.vision.image_handler import ImageInput

Translated = ImageInput[tuple[Letterboxed, int]]  # the image, and the number of the domain to translate it to


class ImageTranslation(TaskHandler[Translated]):
    """The option `to` names the target domain, the last one by default. The response is the whole image in its own
    proportions; its longer side has as many pixels as the network takes.
    """

    request_schema: ClassVar[Mapping[str, Any]] = IMAGE
    response_schema: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, to=STRING, image=BASE64)
    no_explanation_reason = (
        "a translation is an image, not a decision; translated back, it shows what was kept of the original"
    )

    def setup(self) -> None:
        """Load the codec and the names of the domains."""
        self.codec = codecs.load(LetterboxCodec, self.folder)
        self.labels = self.label_names()

    def decode(self, request: Request) -> Translated:
        """Return the image in the network's square, with the target domain."""
        to = request.option("to")
        if to is not None and to not in self.labels:
            raise BadRequest("to", f"not one of {', '.join(self.labels)}")
        image = self.codec.letterbox(image_bytes(request.field("image")))
        return ImageInput.from_request(request, (image, len(self.labels) - 1 if to is None else self.labels.index(to)))

    def collate(self, inputs: list[Translated]) -> Tensor:
        """Return the normalized images, (N, 3, S, S)."""
        return self.codec.normalize(torch.stack([decoded.value[0].pixels for decoded in inputs]))

    def encode(self, output: Tensor, decoded: Translated) -> ResponseLike:
        """Return the translated image; output: (domains, 3, S, S), a translation to each domain."""
        image, to = decoded.value
        picture = png(self.codec.pixels_of(image.content(output[to])))
        if decoded.as_png:
            return Response(picture, content_type="image/png")
        return {"to": self.labels[to], "image": base64.b64encode(picture).decode()}
