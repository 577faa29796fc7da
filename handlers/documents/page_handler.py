"""Base class of handlers that take pages: an image is one page, a PDF has several."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.utils import draw_bounding_boxes

from handlers.base import ResponseLike
from handlers.codecs.image import png
from handlers.codecs.text_page import PAD, Page, TextPageCodec, pad_pages
from handlers.documents.pdf_file import request_pages
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import DOCUMENT, INTEGER, NUMBER, STRING, Response, array, schema
from handlers.vision.image_handler import ImageExplanationHandler, ImageInput

Box = tuple[float, float, float, float]


def document_schema(**members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a response: these members for an image, a list of pages with these members for a PDF."""
    page = schema(page=INTEGER, width=NUMBER, height=NUMBER, **members)
    return {
        "oneOf": [
            schema(model=STRING, version=STRING, **members),
            schema(model=STRING, version=STRING, pages=array(page)),
        ]
    }


def page_number(page: Page) -> dict[str, Any]:
    """Return the member `page` of a page of a PDF; an image has none."""
    return {} if page.number is None else {"page": page.number}


def page_head(page: Page) -> dict[str, Any]:
    """Return the number, width and height of a page of a PDF."""
    right, bottom = page.pixels.shape[2], page.pixels.shape[1]
    width, height = page.to_image((0, 0, right, bottom))[2:]
    return {**page_number(page), "width": width, "height": height}


def draw_boxes(page: Page, boxes: Sequence[Box]) -> bytes:
    """Return a PNG of the page with the boxes in red, at the network's input size."""
    corners = torch.tensor(boxes).reshape(-1, 4)
    return png(draw_bounding_boxes(page.pixels.expand(3, -1, -1), corners, colors="red", width=2))


class PageHandler(ImageExplanationHandler[list[Page]]):
    """The response to a PDF lists its `pages`, or those of the option `pages`, each with the members that the response
    to an image has itself. Boxes, width and height are in points of 1/72 inch there. Of several pages the first is
    explained.
    """

    request_schema: ClassVar[Mapping[str, Any]] = DOCUMENT
    page_codec: TextPageCodec

    @abstractmethod
    def read_pages(self, batch: Tensor) -> Sequence[Any]:
        """Return the output of each page of a batch, (M, 1, H, W)."""

    @abstractmethod
    def page_members(self, output: Any, page: Page) -> dict[str, Any]:
        """Return the members of the response that are about one page."""

    @abstractmethod
    def boxes(self, output: Any, page: Page) -> Sequence[Box]:
        """Return the boxes of a page's lines, x1, y1, x2, y2 in its pixels."""

    def decode(self, request: Request) -> ImageInput[list[Page]]:
        images = request_pages(request, self.page_codec.shrink)
        pages = [self.page_codec.page_of(one.image, one.size, one.number) for one in images]
        decoded = ImageInput.from_request(request, pages)
        if decoded.as_png and len(pages) > 1 and not request.wants_explanation:
            raise BadRequest("pages", f"a picture shows one page, and here are {len(pages)}: choose one, as in pages=1")
        return decoded

    def collate(self, inputs: list[ImageInput[list[Page]]]) -> Tensor:
        """Return the pages of each request, (N, K, H, W), where K is the largest number of pages of a request."""
        pages = pad_pages([page.pixels for decoded in inputs for page in decoded.value])
        documents = list(torch.split(pages, [len(decoded.value) for decoded in inputs]))
        return self.page_codec.normalize(pad_sequence(documents, batch_first=True, padding_value=PAD).squeeze(2))

    def forward(self, batch: Tensor) -> Sequence[Any]:
        """Return the outputs of each request; pages of all requests share batches of the card's size."""
        pages = batch.flatten(0, 1).unsqueeze(1)
        own = pages[:, 0, 0, 0] != PAD
        chunks = torch.split(pages[own], self.card["serving"]["batch_size"])
        outputs = iter([output for chunk in chunks for output in self.read_pages(chunk)])
        counts = own.view(len(batch), -1).sum(dim=1).tolist()
        return [self._document_output([next(outputs) for _ in range(count)]) for count in counts]

    @staticmethod
    def _document_output(outputs: list[Any]) -> Any:
        """Return the output of a request's only page, or those of all; instead of them one that is not finite, so that
        the request is rejected.
        """
        broken = (one for one in outputs if isinstance(one, Tensor) and not one.isfinite().all())
        return outputs[0] if len(outputs) == 1 else next(broken, outputs)

    def encode(self, output: Any, decoded: ImageInput[list[Page]]) -> ResponseLike:
        first, *others = decoded.value
        if decoded.as_png:
            return Response(draw_boxes(first, self.boxes(output, first)), content_type="image/png")
        if first.number is None:
            return self.page_members(output, first)
        outputs = output if others else [output]
        pages = zip(outputs, decoded.value, strict=True)
        return {"pages": [{**page_head(page), **self.page_members(one, page)} for one, page in pages]}
