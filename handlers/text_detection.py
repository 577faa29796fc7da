"""Images of pages -> where the lines of text are."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from handlers import codecs
from handlers.base import Reply
from handlers.codecs.image import image_bytes, png
from handlers.codecs.text_page import Page, TextPageCodec, together
from handlers.errors import BadRequest
from handlers.image_task import ImageTaskHandler, Item
from handlers.proposals import Line, best, lines
from handlers.replies import BASE64, NUMBER, STRING, Answer, array, schema
from handlers.row import Row, whole_number

LINE = schema(box=array(NUMBER), score=NUMBER)


class TextDetection(ImageTaskHandler[Page]):
    """Outputs are proposals, (N, rows, columns, 10, 4); proposals.py joins them into lines, from the top to the bottom.

    Boxes are x1, y1, x2, y2 in pixels of the image as sent; the annotated picture is at the size the network sees.
    Explains, from a white page on, what speaks for line number `target`, counted from 0, or for
    the line with the best score; where there is none, for the one proposal that comes closest.
    """

    REPLY: ClassVar[Mapping[str, Any]] = schema(model=STRING, version=STRING, lines=array(LINE))
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, target=LINE, convergence_delta=NUMBER, heatmap=BASE64
    )

    def setup(self) -> None:
        self.codec = codecs.load(TextPageCodec, self.folder)

    def decode(self, row: Row) -> Item[Page]:
        return Item.of(row, self.codec.page(image_bytes(row.field("image"))))

    def collate(self, items: list[Item[Page]]) -> Tensor:
        return self.codec.normalize(together([item.input.pixels for item in items]))  # (N, 1, H, W)

    def encode(self, output: Tensor, item: Item[Page]) -> Reply:
        rows, columns = item.input.cells
        found = lines(output[:rows, :columns])
        if item.as_png:
            boxes = torch.tensor([line.box for line in found]).reshape(-1, 4)
            picture = draw_bounding_boxes(item.input.pixels.expand(3, -1, -1), boxes, colors="red", width=2)
            return Answer(png(picture), content_type="image/png")
        return {"lines": [self._named(line, item.input) for line in found]}

    def explain(self, item: Item[Page], target: str | None) -> Reply:
        batch = self.collate([item]).to(self.device)
        with torch.no_grad():
            output = self.network(batch)[0].cpu()
        line = self._asked(output, target)

        def score(pages: Tensor) -> Tensor:
            """The mean logit of the line's proposals: (N, 1, H, W) -> (N,)."""
            return self.network(pages)[..., 0].flatten(1)[:, line.places.to(self.device)].mean(dim=1)

        reply = self.attributed(item.input.pixels, batch, 1.0, score, item.as_png)
        return reply if isinstance(reply, Answer) else {"target": self._named(line, item.input), **reply}

    def _asked(self, output: Tensor, target: str | None) -> Line:
        found = lines(output)
        if target is None:
            return max(found, key=lambda line: line.score, default=best(output))
        place = whole_number(target)
        if place is None or place >= len(found):
            raise BadRequest("target", f"not the number of a line: {len(found)} were found, 0 is the topmost")
        return found[place]

    def _named(self, line: Line, page: Page) -> dict[str, Any]:
        return {"box": page.as_sent(line.box), "score": round(line.score, 6)}
