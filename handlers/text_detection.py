"""Text detection: images of pages -> boxes of their lines of text."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from handlers import codecs
from handlers.base import ResponseLike
from handlers.codecs.image import image_bytes, png
from handlers.codecs.text_page import Page, TextPageCodec, pad_pages
from handlers.documents.text_proposals import TextLine, best_proposal, connect_lines
from handlers.errors import BadRequest
from handlers.request import Request, parse_whole_number
from handlers.response import BASE64, NUMBER, STRING, Response, array, schema
from handlers.vision.image_handler import ImageExplanationHandler, ImageInput

LINE = schema(box=array(NUMBER), score=NUMBER)


class TextDetection(ImageExplanationHandler[Page]):
    """Outputs are proposals, (N, rows, columns, 10, 4); text_proposals.py joins them into lines, from top to bottom.

    Boxes are x1, y1, x2, y2 in pixels of the image as sent; the annotated image has the network's input size.
    Explains the line number `target`, counted from 0, or the line with the best score, relative to a white page; where
    there is no line, the proposal with the best score.
    """

    response_schema: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, lines=array(LINE))
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=LINE, convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        self.codec = codecs.load(TextPageCodec, self.folder)

    def decode(self, request: Request) -> ImageInput[Page]:
        return ImageInput.from_request(request, self.codec.page(image_bytes(request.field("image"))))

    def collate(self, inputs: list[ImageInput[Page]]) -> Tensor:
        return self.codec.normalize(pad_pages([decoded.value.pixels for decoded in inputs]))  # (N, 1, H, W)

    def encode(self, output: Tensor, decoded: ImageInput[Page]) -> ResponseLike:
        rows, columns = decoded.value.cells
        found = connect_lines(output[:rows, :columns])
        if decoded.as_png:
            boxes = torch.tensor([line.box for line in found]).reshape(-1, 4)
            picture = draw_bounding_boxes(decoded.value.pixels.expand(3, -1, -1), boxes, colors="red", width=2)
            return Response(png(picture), content_type="image/png")
        return {"lines": [self._named(line, decoded.value) for line in found]}

    def explain(self, decoded: ImageInput[Page], target: str | None) -> ResponseLike:
        batch = self.collate([decoded]).to(self.device)
        with torch.no_grad():
            output = self.network(batch)[0].cpu()
        line = self._target_line(output, target)

        def score(pages: Tensor) -> Tensor:
            """Mean logit of the line's proposals: (N, 1, H, W) -> (N,)."""
            return self.network(pages)[..., 0].flatten(1)[:, line.places.to(self.device)].mean(dim=1)

        response = self.explain_score(decoded.value.pixels, batch, 1.0, score, decoded.as_png)
        return response if isinstance(response, Response) else {"target": self._named(line, decoded.value), **response}

    def _target_line(self, output: Tensor, target: str | None) -> TextLine:
        found = connect_lines(output)
        if target is None:
            return max(found, key=lambda line: line.score, default=best_proposal(output))
        place = parse_whole_number(target)
        if place is None or place >= len(found):
            raise BadRequest("target", f"not the number of a line: {len(found)} were found, 0 is the topmost")
        return found[place]

    def _named(self, line: TextLine, page: Page) -> dict[str, Any]:
        return {"box": page.to_image(line.box), "score": round(line.score, 6)}
