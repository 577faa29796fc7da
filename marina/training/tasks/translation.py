"""Translation: a sentence -> the same in another language."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from torch import Tensor
from torchmetrics import Metric

from handlers.codecs.subwords import BEGIN, SubwordCodec
from handlers.text.beam_search import beam_search
from handlers.text.translation_request import DEFAULT_BEAMS, max_target_tokens, pad_pair
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.data.synthesis.text_rendering import NOTO
from marina.training.losses import next_token
from marina.training.task import EvaluationRequest, Task

GREEDY = 1


class Translation(Task):
    """Inputs are sentences beside the beginnings of their translations, (T, 2); targets the next tokens."""

    METRIC = "perplexity"
    codec: SubwordCodec

    def prepare(self) -> None:
        texts = [*self.data.train.inputs, *(target.text for target in self.data.train.targets)]
        self.codec = SubwordCodec.fit(texts, **self.card.input)
        self.arguments = {"vocabulary_size": self.codec.size}

    def encode(self, split: Split) -> Examples:
        most = self.codec.max_tokens
        sources = [self.codec.numbers(text)[-most:] for text in split.inputs]
        targets = [self.codec.numbers(target.text)[:most] for target in split.targets]
        before = [torch.cat([torch.tensor([BEGIN]), target[:-1]]) for target in targets]
        return Examples([pad_pair(*pair) for pair in zip(sources, before, strict=True)], targets)

    def new_metric(self) -> Metric:
        return next_token.NextToken()

    def loss(self, outputs: Tensor, targets: Sequence[Tensor]) -> Tensor:
        return next_token.next_token_loss(outputs, targets, self.recipe.label_smoothing if self.training else 0.0)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        """Yield each sentence twice: for beam search, and for greedy search."""
        for text, target in zip(data.test.inputs, data.test.targets, strict=True):
            for beam in (DEFAULT_BEAMS, GREEDY):
                body = json.dumps({"text": text, "beam": beam, "truncate": True}, ensure_ascii=False).encode()
                yield EvaluationRequest(body, "application/json", (target, beam))

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return sacreBLEU and chrF of each part of the data, for beam search and for greedy search."""
        figures: dict[str, float] = {}
        for part in sorted({target.part for target, _ in truths}):
            for beam, suffix in ((DEFAULT_BEAMS, ""), (GREEDY, "_greedy")):
                pairs = [
                    (response["translations"][0]["text"], target.text)
                    for (target, its_beam), response in zip(truths, responses, strict=True)
                    if (target.part, its_beam) == (part, beam)
                ]
                if pairs:
                    figures |= {f"{name}_{part}{suffix}": value for name, value in compared(pairs).items()}
        return figures

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Draw the attention of the network while it translated the first sentence, and return a few translations of
        each part.
        """
        text = self.data.test.inputs[0]
        self._draw(text, plots / "attention.png")
        shown: dict[str, list[dict[str, str]]] = {}
        rows = zip(self.data.test.inputs, truths[::2], responses[::2], strict=True)
        for source, (target, _), response in rows:
            those = shown.setdefault(target.part, [])
            if len(those) < 5:
                those.append({"source": source, "right": target.text, "said": response["translations"][0]["text"]})
        return {}, {"examples": shown}

    def _draw(self, text: str, file: Path) -> None:
        """Draw the alignment of the greedy translation, from the network's own attention."""
        network: Any = self.network.eval().cpu()
        tokens = self.codec.numbers(text)
        with torch.inference_mode():
            ((best,),) = beam_search(
                network.begin, network.step, tokens[None], GREEDY, torch.tensor([max_target_tokens(tokens)]), 0.0
            )
        source, target = self.codec.pieces(text), self.codec.token_texts(best.tokens)
        figure = Figure((2 + 0.3 * len(source), 2 + 0.3 * len(target)), layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(best.alignment[:, : len(source)], cmap="Greys", vmin=0, vmax=1)
        axes.set_xticks(range(len(source)), source, rotation=90)
        axes.set_yticks(range(len(target)), target, fontproperties=FontProperties(fname=NOTO))
        figure.savefig(file)


def compared(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Return BLEU and chrF, from 0 to 100, of (translation, reference); Chinese is compared character by character, as
    sacreBLEU does.
    """
    translations, right = map(list, zip(*pairs, strict=True))
    chinese = any("\u4e00" <= character <= "\u9fff" for text in right for character in text)
    bleu = BLEU(tokenize="zh" if chinese else "13a").corpus_score(translations, [right]).score
    return {"bleu": float(bleu), "chrf": float(CHRF().corpus_score(translations, [right]).score)}
