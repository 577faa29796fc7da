"""Document OCR: images of invoices -> their lines of text and their fields."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import ResponseLike
from handlers.codecs.invoice_lines import InvoiceCodec
from handlers.codecs.text_line import path_score
from handlers.codecs.text_page import Page
from handlers.documents import invoice_fields, page_reader
from handlers.documents.page_handler import Box, PageHandler, document_schema, page_number
from handlers.errors import BadRequest
from handlers.response import BASE64, NUMBER, STRING, Response, array, schema
from handlers.runtime.eager import Eager
from handlers.vision.image_handler import ImageInput

LINE = {"box": array(NUMBER), "text": STRING, "confidence": NUMBER}
LINES = array(schema(**LINE))


class DocumentOcr(PageHandler):
    """Outputs are the recognized lines of a page, boxes in pixels of the image as sent. A field not found is null.

    Explains the text of the (first) line that holds the field `target`, such as total or items.0.name, relative to
    blank paper. Without a target: the line of the total, or else the line with the detector's best score, or else the
    proposal with the best score. `score` is the detector's.
    """

    response_schema: ClassVar[Mapping[str, Any]] = document_schema(fields=invoice_fields.SCHEMA, lines=LINES)
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=schema(score=NUMBER, **LINE), convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        serving = self.card["serving"]
        self.codec = codecs.load(InvoiceCodec, self.folder)
        self.page_codec = self.codec.page
        self.reader = Eager(self.network.reader, self.device, serving["precision"], serving["channels_last"])

    def read_pages(self, batch: Tensor) -> Sequence[Any]:
        """Recognize the lines of all pages together. Proposals that are not finite stay, and are rejected."""
        proposals = self.optimized_network(batch)
        recognized = page_reader.recognize_lines(self.codec, batch, page_reader.detect_lines(proposals), self.reader)
        return [
            lines if output.isfinite().all() else output for lines, output in zip(recognized, proposals, strict=True)
        ]

    def page_members(self, output: Sequence[page_reader.RecognizedLine], page: Page) -> dict[str, Any]:
        fields = invoice_fields.nested(page_reader.extract_fields(output))
        return {"fields": fields, "lines": [line.to_json(page) for line in output]}

    def boxes(self, output: Sequence[page_reader.RecognizedLine], page: Page) -> Sequence[Box]:
        del page
        return [line.box for line in output]

    def explain(self, decoded: ImageInput[list[Page]], target: str | None) -> ResponseLike:
        page = decoded.value[0]
        line = self._target_line(page, target)
        ink = self.codec.line.normalize(line.ink.unsqueeze(0)).to(self.device)  # (1, 1, height, W)
        with torch.no_grad():
            logits = self.network.reader(ink)[0]
        score = path_score(self.network.reader, logits, 0, len(logits) - 1)
        response = self.explain_score(255 - line.ink.T.unsqueeze(0), ink, 1 / 255, score, decoded.as_png)
        named = {"field": target, **page_number(page), "score": round(line.score, 6), **line.to_json(page)}
        return response if isinstance(response, Response) else {"target": named, **response}

    def _target_line(self, page: Page, target: str | None) -> page_reader.RecognizedLine:
        batch = self.page_codec.normalize(page.pixels.unsqueeze(0))  # (1, 1, H, W)
        with torch.no_grad():
            (lines,) = page_reader.recognize_lines(
                self.codec, batch, page_reader.detect_lines(self.optimized_network(batch), closest=True), self.reader
            )
        assert isinstance(lines, list), "the network's output is not finite"
        fields = page_reader.extract_fields(lines)
        if target is not None and target not in fields:
            raise BadRequest("target", f"not a field that was found; those are: {', '.join(fields) or 'none'}")
        field = fields.get(target or "total")
        return lines[field.places[0]] if field else max(lines, key=lambda line: line.score)
