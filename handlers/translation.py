"""A sentence -> the same in another language."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from captum.attr import FeatureAblation
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs
from handlers.base import NOT_FINITE, Reply, TaskHandler
from handlers.codecs.subwords import BEGIN, END, SubwordCodec
from handlers.codecs.text import PAD, UNK, text_of
from handlers.decoding import Hypothesis, search
from handlers.errors import BadRequest
from handlers.replies import BOOLEAN, NUMBER, STRING, TEXT, array, schema
from handlers.row import Row
from handlers.sentence import Sentence, most, paired, rounded


class Translation(TaskHandler[Sentence]):
    """Explains by leaving out: how much less likely each token of the translation is without one of the source."""

    REQUEST: ClassVar[Mapping[str, Any]] = TEXT
    REPLY: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        translations=array(schema(text=STRING, score=NUMBER)),
        truncated=BOOLEAN,
        unknown=array(STRING),
    )
    EXPLANATION: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        translation=STRING,
        source=array(STRING),
        target=array(STRING),
        weights=array(array(NUMBER)),  # a row for each token of the target
    )

    def setup(self) -> None:
        self.codec = codecs.load(SubwordCodec, self.folder)
        self.run = self.network.step  # in float32, where nothing is rounded that decides between two words

    def decode(self, row: Row) -> Sentence:
        truncate = row.flag("truncate")
        text = text_of(row.field("text"), self.codec.max_characters, truncate)
        return Sentence.of(row, self.codec.numbers(text), text, self.codec.max_tokens)

    def first_input(self, item: Sentence) -> Tensor:
        """(1, T, 2): the sentence, and the beginning of a translation."""
        return paired(item.tokens, torch.tensor([BEGIN])).unsqueeze(0)

    def collate(self, items: list[Sentence]) -> Any:
        return items

    def forward(self, batch: Any) -> Sequence[list[Hypothesis]]:
        """Those that want as many beams are searched together."""
        found: dict[int, list[Hypothesis]] = {}
        step: Any = self.run
        for beams, alpha in sorted({(item.beams, item.length_penalty) for item in batch}):
            places = [i for i, item in enumerate(batch) if (item.beams, item.length_penalty) == (beams, alpha)]
            rows = [batch[i].tokens for i in places]
            source = pad_sequence(rows, batch_first=True, padding_value=PAD).to(self.device)
            longest = torch.tensor([most(row) for row in rows], device=self.device)
            searched = search(self.network.begin, step, source, beams, longest, alpha)
            found |= dict(zip(places, searched, strict=True))
        return [found[i] for i in range(len(batch))]

    def encode(self, output: list[Hypothesis], item: Sentence) -> Reply:
        if not all(torch.isfinite(torch.tensor(one.score)) for one in output):
            return NOT_FINITE
        best = output[: item.top]
        reply = {
            "translations": [{"text": self.codec.text(one.tokens), "score": round(one.score, 6)} for one in best],
            "truncated": item.truncated,
            "unknown": self.codec.unknown(item.text),
        }
        if item.alignment:
            reply |= {
                "source": self.codec.pieces(item.text),
                "target": self.codec.written(best[0].tokens),
                "alignment": rounded(best[0].alignment[:, : len(item.tokens) - 1]),
            }
        return reply

    def explain(self, item: Sentence, target: str | None) -> Reply:
        if target is not None:
            raise BadRequest("target", "a translation is explained as a whole: leave it out")
        (found,) = self.forward([item])
        written = torch.tensor([*found[0].tokens, END])
        source = item.tokens[None].to(self.device)

        def log_likelihoods(sources: Tensor) -> Tensor:
            """(N, S) -> (N, T): of each token that was written, given those before it."""
            before = torch.cat([torch.tensor([BEGIN]), written[:-1]])
            pairs = torch.stack([paired(one.cpu(), before) for one in sources]).to(self.device)
            chances = self.network(pairs)[:, : len(written)].float().log_softmax(dim=2)
            return chances.gather(2, written.to(self.device)[None, :, None].expand(len(sources), -1, 1)).squeeze(2)

        with torch.inference_mode():
            lost = FeatureAblation(log_likelihoods).attribute(
                source, baselines=UNK, perturbations_per_eval=self.card["serving"]["batch_size"]
            )
        return {
            "translation": self.codec.text(found[0].tokens),
            "source": self.codec.pieces(item.text),
            "target": self.codec.written(found[0].tokens),
            "weights": rounded(lost.view(len(written), -1)[:-1, :-1]),  # without either <END>
        }
