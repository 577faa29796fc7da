"""Texts -> classes."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from captum.attr import LayerIntegratedGradients
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers.base import Reply
from handlers.classification import CLASS, ClassificationHandler, Item
from handlers.codecs import reader
from handlers.codecs.text import PAD
from handlers.errors import BadRequest
from handlers.replies import BOOLEAN, NUMBER, STRING, TEXT, array, schema
from handlers.row import Row
from handlers.words import Words


class TextClassification(ClassificationHandler):
    """Explains by integrated gradients of the embeddings, from padding to the words; what a network attends to stands
    beside: it is how it reads, and no reason."""

    REQUEST: ClassVar[Mapping[str, Any]] = TEXT
    REPLY: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, predictions=array(CLASS), truncated=BOOLEAN, unknown=array(STRING)
    )
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=CLASS,
        convergence_delta=NUMBER,
        words=array(schema(word=STRING, weight=NUMBER, known=BOOLEAN)),
    )

    def setup(self) -> None:
        super().setup()
        self.codec = reader.load(self.folder)
        self.codec.words("热身")  # jieba reads its dictionary at the first cut: now, not at a user's request

    def decode(self, row: Row) -> Item[Words]:
        return Item.of(row, Words.of(row, self.codec))

    def collate(self, items: list[Item[Words]]) -> Tensor:
        rows = [self.codec.numbers(item.input.read) for item in items]
        return pad_sequence(rows, batch_first=True, padding_value=PAD)

    def encode(self, output: Tensor, item: Item[Words]) -> Reply:
        reply = super().encode(output, item)
        assert isinstance(reply, Mapping)
        unknown = [word for word in dict.fromkeys(item.input.read) if not self.codec.knows(word)]
        return {**reply, "truncated": item.input.truncated, "unknown": unknown}

    def attribute(self, item: Item[Words], batch: Tensor, target: int) -> Mapping[str, Any]:
        words = item.input.read
        if not words:
            raise BadRequest("text", "no word is left to explain once links, names and stop words are taken out")
        embedding, silence = self.network.embedding, torch.full_like(batch, PAD)
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN has no backward pass for an LSTM in eval mode
            attributions = LayerIntegratedGradients(self.network, embedding).attribute(
                batch,
                baselines=silence,
                target=target,
                n_steps=self.card["serving"]["explain_steps"],
                internal_batch_size=self.card["serving"]["batch_size"],
            )
        weights = attributions[0].sum(dim=1).tolist()  # (T, D) -> a number a word
        with torch.inference_mode():
            output, unsaid = self.network(batch)[0, target], embedding(silence)
            # captum's own delta would start from a text of no words; the path above starts from these words, unsaid.
            hook = embedding.register_forward_hook(lambda *_: unsaid)
            baseline = self.network(batch)[0, target]
            hook.remove()
            more = (
                {"attention": self.network.attention(batch)[0].tolist()} if hasattr(self.network, "attention") else {}
            )
        columns = {"word": words, "weight": weights, "known": list(map(self.codec.knows, words)), **more}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return {"convergence_delta": sum(weights) - float(output - baseline), "words": rows}
