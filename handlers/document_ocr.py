"""Images of invoices -> their lines, read, and their fields."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs, invoices, pages, paths
from handlers.base import Reply
from handlers.codecs.image import image_bytes
from handlers.codecs.invoice import InvoiceCodec
from handlers.codecs.text_page import Page, together
from handlers.errors import BadRequest
from handlers.fast import Eager
from handlers.image_task import ImageTaskHandler, Item
from handlers.replies import BASE64, NUMBER, STRING, Answer, array, schema
from handlers.row import Row

LINE = {"box": array(NUMBER), "text": STRING, "confidence": NUMBER}
LINES = array(schema(**LINE))


class DocumentOcr(ImageTaskHandler[Page]):
    """Outputs are the lines of a page, boxes in pixels of the image as sent. A field that was not found is null.

    Explains, from blank paper on, what speaks for the reading of the line in which the field `target` stands, such as
    total or items.0.name (its first line); without a target that of the total, otherwise of the line that the detector
    is most sure of, or of what comes closest to one. `score` is the detector's.
    """

    REPLY: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, fields=invoices.SCHEMA, lines=LINES)
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=schema(score=NUMBER, **LINE), convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        serving = self.card["serving"]
        self.codec = codecs.load(InvoiceCodec, self.folder)
        self.reader = Eager(self.network.reader, self.device, serving["precision"], serving["channels_last"])

    def decode(self, row: Row) -> Item[Page]:
        return Item.of(row, self.codec.page.page(image_bytes(row.field("image"))))

    def collate(self, items: list[Item[Page]]) -> Tensor:
        return self.codec.page.normalize(together([item.input.pixels for item in items]))  # (N, 1, H, W)

    def forward(self, batch: Tensor) -> Sequence[Any]:
        """The lines of all pages are read together. Proposals that are not finite stay, and are refused."""
        proposals = self.run(batch)
        read = pages.read(self.codec, batch, pages.find(proposals), self.reader)
        return [its if output.isfinite().all() else output for its, output in zip(read, proposals, strict=True)]

    def encode(self, output: Sequence[pages.ReadLine], item: Item[Page]) -> Reply:
        if item.as_png:
            return Answer(pages.annotated(item.input, [line.box for line in output]), content_type="image/png")
        lines = [line.named(item.input) for line in output]
        return {"fields": invoices.nested(pages.fields(output)), "lines": lines}

    def explain(self, item: Item[Page], target: str | None) -> Reply:
        line = self._asked(item, target)
        ink = self.codec.line.normalize(line.ink.unsqueeze(0)).to(self.device)  # (1, 1, height, W)
        with torch.no_grad():
            logits = self.network.reader(ink)[0]
        score = paths.score(self.network.reader, logits, 0, len(logits) - 1)
        reply = self.attributed(255 - line.ink.T.unsqueeze(0), ink, 1 / 255, score, item.as_png)
        named = {"field": target, "score": round(line.score, 6), **line.named(item.input)}
        return reply if isinstance(reply, Answer) else {"target": named, **reply}

    def _asked(self, item: Item[Page], target: str | None) -> pages.ReadLine:
        batch = self.collate([item])
        with torch.no_grad():
            (lines,) = pages.read(self.codec, batch, pages.find(self.run(batch), closest=True), self.reader)
        assert isinstance(lines, list), "the network's output is not finite"
        fields = pages.fields(lines)
        if target is not None and target not in fields:
            raise BadRequest("target", f"not a field that was found; those are: {', '.join(fields) or 'none'}")
        field = fields.get(target or "total")
        return lines[field.places[0]] if field else max(lines, key=lambda line: line.score)
