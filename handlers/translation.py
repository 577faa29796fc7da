"""Translation: a sentence -> the same in another language."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from captum.attr import FeatureAblation
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers import codecs
from handlers.base import NOT_FINITE, ResponseLike, TaskHandler
from handlers.codecs.subwords import BEGIN, END, SubwordCodec
from handlers.codecs.words import PAD, UNK
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.response import BOOLEAN, NUMBER, STRING, TEXT, array, schema
from handlers.text.beam_search import Hypothesis, beam_search
from handlers.text.text_request import text_content
from handlers.text.translation_request import TranslationInput, max_target_tokens, pad_pair, round_weights


class Translation(TaskHandler[TranslationInput]):
    """Explains by ablation: how much less likely each token of the translation is without a token of the source."""

    request_schema: ClassVar[Mapping[str, Any]] = TEXT
    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        translations=array(schema(text=STRING, score=NUMBER)),
        truncated=BOOLEAN,
        unknown=array(STRING),
    )
    explanation_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        translation=STRING,
        source=array(STRING),
        target=array(STRING),
        weights=array(array(NUMBER)),  # by token of the target, then of the source
    )

    def setup(self) -> None:
        self.codec = codecs.load(SubwordCodec, self.folder)
        self.optimized_network = self.network.step  # in float32: rounding could decide between two words

    def decode(self, request: Request) -> TranslationInput:
        truncate = request.flag("truncate")
        text = text_content(request.field("text"), self.codec.max_characters, truncate)
        return TranslationInput.from_request(request, self.codec.numbers(text), text, self.codec.max_tokens)

    def first_input(self, decoded: TranslationInput) -> Tensor:
        """Return the sentence and the first token of a translation: (1, T, 2)."""
        return pad_pair(decoded.tokens, torch.tensor([BEGIN])).unsqueeze(0)

    def collate(self, inputs: list[TranslationInput]) -> Any:
        return inputs

    def forward(self, batch: Any) -> Sequence[list[Hypothesis]]:
        """Search the sentences with the same number of beams and length penalty together."""
        found: dict[int, list[Hypothesis]] = {}
        step: Any = self.optimized_network
        for beams, alpha in sorted({(decoded.beams, decoded.length_penalty) for decoded in batch}):
            places = [i for i, decoded in enumerate(batch) if (decoded.beams, decoded.length_penalty) == (beams, alpha)]
            sentences = [batch[i].tokens for i in places]
            source = pad_sequence(sentences, batch_first=True, padding_value=PAD).to(self.device)
            longest = torch.tensor([max_target_tokens(sentence) for sentence in sentences], device=self.device)
            searched = beam_search(self.network.begin, step, source, beams, longest, alpha)
            found |= dict(zip(places, searched, strict=True))
        return [found[i] for i in range(len(batch))]

    def encode(self, output: list[Hypothesis], decoded: TranslationInput) -> ResponseLike:
        if not all(torch.isfinite(torch.tensor(one.score)) for one in output):
            return NOT_FINITE
        best = output[: decoded.top]
        response = {
            "translations": [{"text": self.codec.text(one.tokens), "score": round(one.score, 6)} for one in best],
            "truncated": decoded.truncated,
            "unknown": self.codec.unknown(decoded.text),
        }
        if decoded.alignment:
            response |= {
                "source": self.codec.pieces(decoded.text),
                "target": self.codec.token_texts(best[0].tokens),
                "alignment": round_weights(best[0].alignment[:, : len(decoded.tokens) - 1]),
            }
        return response

    def explain(self, decoded: TranslationInput, target: str | None) -> ResponseLike:
        if target is not None:
            raise BadRequest("target", "a translation is explained as a whole: leave it out")
        (hypotheses,) = self.forward([decoded])
        written = torch.tensor([*hypotheses[0].tokens, END])
        source = decoded.tokens[None].to(self.device)

        def log_likelihoods(sources: Tensor) -> Tensor:
            """Log-probability of each token of the translation, given those before it: (N, S) -> (N, T)."""
            before = torch.cat([torch.tensor([BEGIN]), written[:-1]])
            pairs = torch.stack([pad_pair(one.cpu(), before) for one in sources]).to(self.device)
            log_probabilities = self.network(pairs)[:, : len(written)].float().log_softmax(dim=2)
            return log_probabilities.gather(
                2, written.to(self.device)[None, :, None].expand(len(sources), -1, 1)
            ).squeeze(2)

        with torch.inference_mode():
            lost = FeatureAblation(log_likelihoods).attribute(
                source, baselines=UNK, perturbations_per_eval=self.card["serving"]["batch_size"]
            )
        return {
            "translation": self.codec.text(hypotheses[0].tokens),
            "source": self.codec.pieces(decoded.text),
            "target": self.codec.token_texts(hypotheses[0].tokens),
            "weights": round_weights(lost.view(len(written), -1)[:-1, :-1]),  # without either <END>
        }
