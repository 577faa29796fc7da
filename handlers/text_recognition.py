"""Text recognition: an image of one line of text -> its characters."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs
from handlers.base import ResponseLike
from handlers.codecs.text_line import Reading, TextLineCodec, path_score
from handlers.documents.pdf_file import request_pages
from handlers.errors import BadRequest
from handlers.request import Request, parse_whole_number
from handlers.response import BASE64, DOCUMENT, NUMBER, STRING, Response, array, schema
from handlers.vision.image_handler import ImageExplanationHandler, ImageInput


class TextRecognition(ImageExplanationHandler[Tensor]):
    """Item.value is the line's ink, (W, H) of uint8. Outputs are logits, (N, T, classes), read along the best path;
    codecs/text_line.py defines the confidences.

    Explains the character at position `target`, counted from 0, or the whole path without a target, relative to blank
    paper.
    """

    request_schema: ClassVar[Mapping[str, Any]] = DOCUMENT
    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        text=STRING,
        confidence=NUMBER,
        characters=array(schema(character=STRING, confidence=NUMBER)),
    )
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=schema(text=STRING, confidence=NUMBER),
        convergence_delta=NUMBER,
        heatmap=BASE64,
    )

    def setup(self) -> None:
        self.codec = codecs.load(TextLineCodec, self.folder)

    def decode(self, request: Request) -> ImageInput[Tensor]:
        pages = request_pages(request, self.codec.shrink)
        if len(pages) > 1:
            raise BadRequest(
                "pages", f"a page of one line is read, and here are {len(pages)}: choose one, as in pages=1"
            )
        return ImageInput.from_request(request, self.codec.ink_of(pages[0].image.convert("L")))

    def collate(self, inputs: list[ImageInput[Tensor]]) -> Tensor:
        return self.codec.normalize(
            pad_sequence([decoded.value for decoded in inputs], batch_first=True)
        )  # (N, 1, H, W)

    def encode(self, output: Tensor, decoded: ImageInput[Tensor]) -> ResponseLike:
        del decoded
        reading = self.codec.read(output)
        characters = [
            {"character": one.character, "confidence": round(one.confidence, 6)} for one in reading.characters
        ]
        return {"text": reading.text, "confidence": round(reading.confidence, 6), "characters": characters}

    def explain(self, decoded: ImageInput[Tensor], target: str | None) -> ResponseLike:
        batch = self.collate([decoded]).to(self.device)
        with torch.no_grad():
            logits = self.network(batch)[0]  # (T, classes)
        first, last, named = self._target_frames(self.codec.read(logits.cpu()), target, len(logits))
        score = path_score(self.network, logits, first, last)
        # Relative to blank paper, not to padding, whose frames could have characters.
        response = self.explain_score(255 - decoded.value.T.unsqueeze(0), batch, 1 / 255, score, decoded.as_png)
        return response if isinstance(response, Response) else {"target": named, **response}

    def _target_frames(self, reading: Reading, target: str | None, frames: int) -> tuple[int, int, dict[str, Any]]:
        """Return the first and last frame of the target, and its members of the response."""
        if target is None:
            return 0, frames - 1, {"text": reading.text, "confidence": round(reading.confidence, 6)}
        place = parse_whole_number(target)
        if place is None or place >= len(reading.characters):
            raise BadRequest("target", f"not a position in the text that was read, {reading.text!r}: 0 is its first")
        one = reading.characters[place]
        named = {"text": one.character, "confidence": round(one.confidence, 6), "position": place}
        return one.first, one.last, named
