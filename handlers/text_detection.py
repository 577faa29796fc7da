"""Text detection: images of pages -> boxes of their lines of text."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import ResponseLike
from handlers.codecs.text_page import Page, TextPageCodec
from handlers.documents.line_detection import Detection, detect, enlarge
from handlers.documents.page_handler import Box, PageHandler, document_schema, page_number
from handlers.documents.text_proposals import TextLine, best_proposal
from handlers.errors import BadRequest
from handlers.request import parse_whole_number
from handlers.response import BASE64, NUMBER, STRING, Response, array, schema
from handlers.vision.image_handler import ImageInput

LINE = schema(box=array(NUMBER), score=NUMBER)


class TextDetection(PageHandler):
    """Outputs are the lines of a page, from top to bottom, which proposals of CTPN are joined to.

    Boxes are x1, y1, x2, y2 in pixels of the image as sent; the annotated image has the network's input size.
    Explains the line number `target`, counted from 0, or the line with the best score, relative to a white page; where
    there is no line, the proposal with the best score.
    """

    response_schema: ClassVar[Mapping[str, Any]] = document_schema(lines=array(LINE))
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=LINE, convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        self.codec = self.page_codec = codecs.load(TextPageCodec, self.folder)

    def read_pages(self, batch: Tensor) -> Sequence[Any]:
        """Return the lines of each page. Outputs that are not finite stay, and are rejected."""
        found = detect(self.optimized_network, batch)
        return [one.lines if one.output.isfinite().all() else one.output for one in found]

    def page_members(self, output: Sequence[TextLine], page: Page) -> dict[str, Any]:
        return {"lines": [self._named(line, page) for line in output]}

    def boxes(self, output: Sequence[TextLine], page: Page) -> Sequence[Box]:
        del page
        return [line.box for line in output]

    def explain(self, decoded: ImageInput[list[Page]], target: str | None) -> ResponseLike:
        page = decoded.value[0]
        batch = self.page_codec.normalize(page.pixels.unsqueeze(0)).to(self.device)  # (1, 1, H, W)
        with torch.no_grad():
            (found,) = detect(self.network, batch)
        line = self._target_line(found, target)

        def score(pages: Tensor) -> Tensor:
            """Mean logit of the line's proposals: (N, 1, H, W) -> (N,)."""
            output = self.network(enlarge(pages) if found.enlarged else pages)
            return output[..., 0].flatten(1)[:, line.proposals.to(self.device)].mean(dim=1)

        response = self.explain_score(page.pixels, batch, 1.0, score, decoded.as_png, 1 if found.enlarged else None)
        named = {**page_number(page), **self._named(line, page)}
        return response if isinstance(response, Response) else {"target": named, **response}

    def _target_line(self, found: Detection, target: str | None) -> TextLine:
        if target is None:
            return max(found.lines, key=lambda line: line.score, default=best_proposal(found.output))
        place = parse_whole_number(target)
        if place is None or place >= len(found.lines):
            raise BadRequest("target", f"not the number of a line: {len(found.lines)} were found, 0 is the topmost")
        return found.lines[place]

    def _named(self, line: TextLine, page: Page) -> dict[str, Any]:
        return {"box": page.to_image(line.box), "score": round(line.score, 6)}
