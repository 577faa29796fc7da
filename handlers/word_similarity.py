"""Word similarity: a word -> the words that are used like it."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import ResponseLike, TaskHandler
from handlers.classification import TopKInput
from handlers.codecs.words import SPECIAL, TextCodec
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import NUMBER, STRING, TEXT, array, schema
from handlers.text.text_request import text_content


class WordSimilarity(TaskHandler[TopKInput[Tensor]]):
    """Nearest neighbours by the cosine of word vectors. Width and case of the word are folded as in texts."""

    request_schema: ClassVar[Mapping[str, Any]] = TEXT
    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, neighbours=array(schema(word=STRING, similarity=NUMBER))
    )
    no_explanation_reason = "a similarity is the cosine of two vectors: it has no attribution to parts of a word"

    def setup(self) -> None:
        self.codec = codecs.load(TextCodec, self.folder)

    def decode(self, request: Request) -> TopKInput[Tensor]:
        text = text_content(request.field("text"), self.codec.max_characters)
        word = self.codec.clean(text).strip()
        if not self.codec.is_known(word):
            raise BadRequest("text", f"the word {word[:20]!r} is not one of the {len(self.codec.vocabulary)} known")
        return TopKInput.from_request(request, self.codec.numbers([word])[0])

    def collate(self, inputs: list[TopKInput[Tensor]]) -> Tensor:
        return torch.stack([decoded.value for decoded in inputs])

    def encode(self, output: Tensor, decoded: TopKInput[Tensor]) -> ResponseLike:
        others = output.index_fill(0, torch.tensor([*range(len(SPECIAL)), int(decoded.value)]), float("-inf"))
        best = others.topk(min(decoded.top, len(others) - len(SPECIAL) - 1))
        return {
            "neighbours": [
                {"word": self.codec.vocabulary[place], "similarity": round(similarity, 6)}
                for similarity, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
        }
