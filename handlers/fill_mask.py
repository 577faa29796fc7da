"""Fill mask: a text with gaps -> the likeliest tokens for each of them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs
from handlers.base import ResponseLike, TaskHandler
from handlers.classification import TopKInput
from handlers.codecs.wordpieces import SPECIAL, WordPieceCodec
from handlers.codecs.words import PAD
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import BOOLEAN, NUMBER, STRING, TEXT, array, schema
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.text.text_request import TextInput

MASK = "[MASK]"


class FillMask(TaskHandler[TopKInput[TextInput]]):
    """Predicts the tokens at each [MASK]; explains the first by integrated gradients of the embeddings.

    An output is (T, V): the logits of each token, padding behind them.
    """

    request_schema: ClassVar[Mapping[str, Any]] = TEXT
    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        masks=array(array(schema(token=STRING, probability=NUMBER))),
        truncated=BOOLEAN,
        unknown=array(STRING),
    )
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        target=schema(token=STRING, probability=NUMBER),
        convergence_delta=NUMBER,
        words=array(schema(word=STRING, weight=NUMBER)),
    )

    def setup(self) -> None:
        self.codec = codecs.load(WordPieceCodec, self.folder)
        self.special_ids = [self.codec.number(token) for token in SPECIAL]

    def decode(self, request: Request) -> TopKInput[TextInput]:
        words = TextInput.from_request(request, self.codec)
        if MASK not in words.tokens:
            raise BadRequest("text", f"there is nothing to fill: write {MASK} where a token is wanted")
        return TopKInput.from_request(request, words)

    def collate(self, inputs: list[TopKInput[TextInput]]) -> Tensor:
        return pad_sequence(
            [self.codec.numbers(decoded.value.tokens) for decoded in inputs], batch_first=True, padding_value=PAD
        )

    def encode(self, output: Tensor, decoded: TopKInput[TextInput]) -> ResponseLike:
        """Return the `top` likeliest tokens of each gap; output: (T, V)."""
        gaps = [place for place, word in enumerate(decoded.value.tokens) if word == MASK]
        probabilities = self.probabilities(output[gaps])
        best = probabilities.topk(min(decoded.top, probabilities.shape[1] - len(self.special_ids)), dim=1)
        candidates = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return {
            "masks": [[self._named(*one) for one in zip(*gap, strict=True)] for gap in candidates],
            "truncated": decoded.value.truncated,
            "unknown": [word for word in dict.fromkeys(decoded.value.tokens) if not self.codec.is_known(word)],
        }

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return probabilities, (..., V), that are zero for special tokens, which no client may get."""
        special = torch.tensor(self.special_ids, device=logits.device)
        return logits.float().index_fill(-1, special, float("-inf")).softmax(dim=-1)

    def _named(self, number: int, probability: float) -> dict[str, Any]:
        return {"token": self.codec.token(number), "probability": round(probability, 6)}

    def explain(self, decoded: TopKInput[TextInput], target: str | None) -> ResponseLike:
        batch, gap = self.collate([decoded]).to(self.device), decoded.value.tokens.index(MASK)
        with torch.inference_mode():
            probabilities = self.probabilities(self.network(batch)[0, gap])
        number = int(probabilities.argmax()) if target is None else self._number_of(target)
        features: Any = self.network.features
        attributions, delta = integrated_gradients(
            lambda ids: self.network(ids)[:, gap],
            batch,
            torch.full_like(batch, self.codec.number(MASK)),
            steps=self.card["serving"]["explain_steps"],
            batch_size=self.card["serving"]["batch_size"],
            target=number,
            layer=features.embeddings,
        )
        weights = attributions[0].sum(dim=1).tolist()  # (T, D) -> a number per word
        return {
            "target": self._named(number, float(probabilities[number])),
            "convergence_delta": delta,
            "words": [
                {"word": word, "weight": round(weight, 6)}
                for word, weight in zip(decoded.value.tokens, weights, strict=True)
            ],
        }

    def _number_of(self, token: str) -> int:
        words = self.codec.words(token)[1:-1]
        if len(words) != 1 or not self.codec.is_known(words[0]) or words[0] in SPECIAL:
            raise BadRequest("target", f"{token[:20]!r} is not one known token")
        return self.codec.number(words[0])
