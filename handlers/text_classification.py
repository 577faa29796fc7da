"""Texts -> classes."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs
from handlers.classification import CLASS, ClassificationHandler, Item
from handlers.codecs.text import PAD, TextCodec, text_of
from handlers.errors import BadRequest
from handlers.replies import BOOLEAN, NUMBER, STRING, array, schema
from handlers.row import Row


class TextClassification(ClassificationHandler):
    """Item.input is the words. Explains by integrated gradients of the embeddings, from padding to the words."""

    REQUEST: ClassVar[Mapping[str, Any]] = {
        "application/json": {"schema": schema(text=STRING)},
        "text/plain": {"schema": STRING},
    }
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=CLASS,
        convergence_delta=NUMBER,
        words=array(schema(word=STRING, weight=NUMBER, known=BOOLEAN)),
    )

    def setup(self) -> None:
        super().setup()
        self.codec = codecs.load(TextCodec, self.folder)
        self.codec.words("热身")  # jieba reads its dictionary at the first cut: now, not at a user's request

    def decode(self, row: Row) -> Item[list[str]]:
        return Item.of(row, self.codec.words(text_of(row.field("text"), self.codec.max_characters)))

    def collate(self, items: list[Item[list[str]]]) -> Tensor:
        return pad_sequence([self.codec.numbers(item.input) for item in items], batch_first=True, padding_value=PAD)

    def attribute(self, item: Item[list[str]], batch: Tensor, target: int) -> Mapping[str, Any]:
        if not item.input:
            raise BadRequest("text", "no word is left to explain once links, names and stop words are taken out")
        embedding = self.network.embedding
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN has no backward pass for an LSTM in eval mode
            attributions = LayerIntegratedGradients(self.network, embedding).attribute(
                batch,
                baselines=torch.full_like(batch, PAD),
                target=target,
                n_steps=self.card["serving"]["explain_steps"],
                internal_batch_size=self.card["serving"]["batch_size"],
            )
        weights = attributions[0].sum(dim=1).tolist()  # (T, D) -> a number a word
        with torch.inference_mode():
            output = self.network(batch)[0, target]
            # captum's own delta would start from a text of no words; the path above starts from these words, unsaid.
            unsaid = embedding.register_forward_hook(lambda _, __, words: torch.zeros_like(words))
            baseline = self.network(batch)[0, target]
            unsaid.remove()
        delta = sum(weights) - float(output - baseline)
        return {
            "convergence_delta": delta,
            "words": [
                {"word": word, "weight": round(weight, 6), "known": self.codec.knows(word)}
                for word, weight in zip(item.input, weights, strict=True)
            ],
        }
