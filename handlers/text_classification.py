"""Text classification: a text -> its classes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs
from handlers.base import ResponseLike
from handlers.classification import CLASS, ClassificationHandler, TopKInput
from handlers.codecs.words import TextCodec
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import BOOLEAN, NUMBER, STRING, TEXT, array, schema
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.text.text_request import TextInput


class TextClassification(ClassificationHandler):
    """Explains by integrated gradients of the embeddings, from padding to the words.

    Attention weights, where a network has any, are returned as well: they show how it reads, and are no attribution.
    """

    request_schema: ClassVar[Mapping[str, Any]] = TEXT
    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING, version=STRING, predictions=array(CLASS), truncated=BOOLEAN, unknown=array(STRING)
    )
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=CLASS,
        convergence_delta=NUMBER,
        words=array(schema(word=STRING, weight=NUMBER, known=BOOLEAN)),
    )

    def setup(self) -> None:
        super().setup()
        self.codec = load_codec(self.folder)
        self.codec.words("热身")  # jieba loads its dictionary at the first call: now, not at a client's request

    def decode(self, request: Request) -> TopKInput[TextInput]:
        return TopKInput.from_request(request, TextInput.from_request(request, self.codec))

    def collate(self, inputs: list[TopKInput[TextInput]]) -> Tensor:
        sequences = [self.codec.numbers(decoded.value.tokens) for decoded in inputs]
        return pad_sequence(sequences, batch_first=True, padding_value=self.codec.padding)

    def encode(self, output: Tensor, decoded: TopKInput[TextInput]) -> ResponseLike:
        response = super().encode(output, decoded)
        assert isinstance(response, Mapping)
        unknown = [word for word in dict.fromkeys(decoded.value.tokens) if not self.codec.is_known(word)]
        return {**response, "truncated": decoded.value.truncated, "unknown": unknown}

    def attribute(self, decoded: TopKInput[TextInput], batch: Tensor, target: int) -> Mapping[str, Any]:
        words = decoded.value.tokens
        if not words:
            raise BadRequest("text", "no word is left to explain once links, names and stop words are taken out")
        embedding, padding = self.network.embedding, torch.full_like(batch, self.codec.blank)
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN has no backward pass for an LSTM in eval mode
            attributions, _ = integrated_gradients(
                self.network,
                batch,
                padding,
                steps=self.card["serving"]["explain_steps"],
                batch_size=self.card["serving"]["batch_size"],
                target=target,
                layer=embedding,
            )
        weights = attributions[0].sum(dim=1).tolist()  # (T, D) -> a number per word
        with torch.inference_mode():
            output, padding_embedding = self.network(batch)[0, target], embedding(padding)
            # captum's own delta is that of a path from an empty text; this path starts from as many words of padding.
            hook = embedding.register_forward_hook(lambda *_: padding_embedding)
            baseline = self.network(batch)[0, target]
            hook.remove()
            more = (
                {"attention": self.network.attention(batch)[0].tolist()} if hasattr(self.network, "attention") else {}
            )
        columns = {
            "word": self.codec.display(words),
            "weight": weights,
            "known": list(map(self.codec.is_known, words)),
            **more,
        }
        attributed = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return {"convergence_delta": sum(weights) - float(output - baseline), "words": attributed}


def load_codec(folder: Path) -> TextCodec:
    """Return the codec in `folder`: a TextCodec of words, a WordPieceCodec of BERT's tokens, or that of an import.

    All have `split`, `prepare_tokens`, `words`, `numbers`, `is_known` and `display`.
    """
    members = json.loads((folder / codecs.FILE).read_text(encoding="utf-8"))
    if "tokenizer" not in members:
        return codecs.load(TextCodec, folder)
    if "blank" in members:
        from handlers.codecs.hugging_face import HuggingFaceCodec

        return codecs.load(HuggingFaceCodec, folder)  # type: ignore[return-value]
    from handlers.codecs.wordpieces import WordPieceCodec  # needs the tokenizers library, which other models lack

    return codecs.load(WordPieceCodec, folder)  # type: ignore[return-value]
