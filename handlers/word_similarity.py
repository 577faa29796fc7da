"""A word -> the words that are used like it."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import Reply, TaskHandler
from handlers.classification import Item
from handlers.codecs.text import SPECIAL, TextCodec, text_of
from handlers.errors import BadRequest
from handlers.replies import NUMBER, STRING, TEXT, array, schema
from handlers.row import Row


class WordSimilarity(TaskHandler[Item[Tensor]]):
    """The word is looked up as texts are cut: its width and case do not matter."""

    REQUEST: ClassVar[Mapping[str, Any]] = TEXT
    REPLY: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, neighbours=array(schema(word=STRING, similarity=NUMBER))
    )
    NOT_EXPLAINED = "a similarity is the cosine of two vectors: no part of a word speaks for it"

    def setup(self) -> None:
        self.codec = codecs.load(TextCodec, self.folder)

    def decode(self, row: Row) -> Item[Tensor]:
        text = text_of(row.field("text"), self.codec.max_characters)
        word = self.codec.clean(text).strip()
        if not self.codec.knows(word):
            raise BadRequest("text", f"the word {word[:20]!r} is not one of the {len(self.codec.vocabulary)} known")
        return Item.of(row, self.codec.numbers([word])[0])

    def collate(self, items: list[Item[Tensor]]) -> Tensor:
        return torch.stack([item.input for item in items])

    def encode(self, output: Tensor, item: Item[Tensor]) -> Reply:
        others = output.index_fill(0, torch.tensor([*range(len(SPECIAL)), int(item.input)]), float("-inf"))
        best = others.topk(min(item.top, len(others) - len(SPECIAL) - 1))
        return {
            "neighbours": [
                {"word": self.codec.vocabulary[place], "similarity": round(similarity, 6)}
                for similarity, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ]
        }
