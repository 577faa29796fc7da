"""Images of one line of text -> its characters."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs, paths
from handlers.base import Reply
from handlers.codecs.image import image_bytes
from handlers.codecs.text_line import Reading, TextLineCodec
from handlers.errors import BadRequest
from handlers.image_task import ImageTaskHandler, Item
from handlers.replies import BASE64, NUMBER, STRING, Answer, array, schema
from handlers.row import Row, whole_number


class TextRecognition(ImageTaskHandler[Tensor]):
    """Item.input is the line's ink, (W, H) of uint8. Outputs are logits, (N, T, classes), read along the best path;
    codecs/text_line.py says what the confidences are.

    Explains, from blank paper on, what speaks for the character at position `target`, counted from 0, or for the whole
    path where there is no target.
    """

    REPLY: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        text=STRING,
        confidence=NUMBER,
        characters=array(schema(character=STRING, confidence=NUMBER)),
    )
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=schema(text=STRING, confidence=NUMBER),
        convergence_delta=NUMBER,
        heatmap=BASE64,
    )

    def setup(self) -> None:
        self.codec = codecs.load(TextLineCodec, self.folder)

    def decode(self, row: Row) -> Item[Tensor]:
        return Item.of(row, self.codec.ink(image_bytes(row.field("image"))))

    def collate(self, items: list[Item[Tensor]]) -> Tensor:
        return self.codec.normalize(pad_sequence([item.input for item in items], batch_first=True))  # (N, 1, H, W)

    def encode(self, output: Tensor, item: Item[Tensor]) -> Reply:
        del item
        reading = self.codec.read(output)
        characters = [
            {"character": one.character, "confidence": round(one.confidence, 6)} for one in reading.characters
        ]
        return {"text": reading.text, "confidence": round(reading.confidence, 6), "characters": characters}

    def explain(self, item: Item[Tensor], target: str | None) -> Reply:
        batch = self.collate([item]).to(self.device)
        with torch.no_grad():
            logits = self.network(batch)[0]  # (T, classes)
        first, last, named = self._asked(self.codec.read(logits.cpu()), target, len(logits))
        score = paths.score(self.network, logits, first, last)
        # Blank paper, not padding: its frames could say something.
        reply = self.attributed(255 - item.input.T.unsqueeze(0), batch, 1 / 255, score, item.as_png)
        return reply if isinstance(reply, Answer) else {"target": named, **reply}

    def _asked(self, reading: Reading, target: str | None, frames: int) -> tuple[int, int, dict[str, Any]]:
        """The first and last frame of what the caller asks about, and what the reply says of it."""
        if target is None:
            return 0, frames - 1, {"text": reading.text, "confidence": round(reading.confidence, 6)}
        place = whole_number(target)
        if place is None or place >= len(reading.characters):
            raise BadRequest("target", f"not a position in the text that was read, {reading.text!r}: 0 is its first")
        one = reading.characters[place]
        said = {"text": one.character, "confidence": round(one.confidence, 6), "position": place}
        return one.first, one.last, said
