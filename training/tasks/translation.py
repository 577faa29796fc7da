"""A sentence -> the same in another language."""

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
from handlers.decoding import search
from handlers.sentence import BEAMS, most, paired
from training import next_token
from training.batches import Examples
from training.data.dataset import Dataset, Split
from training.data.rendering import NOTO
from training.requests import Request
from training.task import Task

GREEDY = 1


class Translation(Task):
    """Inputs are sentences beside their translations, (T, 2), as far as each is written; targets the next tokens."""

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
        return Examples([paired(*pair) for pair in zip(sources, before, strict=True)], targets)

    def new_metric(self) -> Metric:
        return next_token.NextToken()

    def loss(self, outputs: Tensor, targets: Sequence[Tensor]) -> Tensor:
        return next_token.loss(outputs, targets, self.recipe.label_smoothing if self.training else 0.0)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[Request]:
        """Each sentence twice: searched, and greedily."""
        for text, target in zip(data.test.inputs, data.test.targets, strict=True):
            for beam in (BEAMS, GREEDY):
                body = json.dumps({"text": text, "beam": beam, "truncate": True}, ensure_ascii=False).encode()
                yield Request(body, "application/json", (target, beam))

    @staticmethod
    def score(truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """sacreBLEU and chrF, of each part of the data; those of beam search, and of greedy ones."""
        figures: dict[str, float] = {}
        for part in sorted({target.part for target, _ in truths}):
            for beam, suffix in ((BEAMS, ""), (GREEDY, "_greedy")):
                pairs = [
                    (reply["translations"][0]["text"], target.text)
                    for (target, its_beam), reply in zip(truths, replies, strict=True)
                    if (target.part, its_beam) == (part, beam)
                ]
                if pairs:
                    figures |= {f"{name}_{part}{suffix}": value for name, value in compared(pairs).items()}
        return figures

    def report(
        self, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Where the network looked while it translated the first sentence, and a few translations of each part."""
        text = self.data.test.inputs[0]
        self._draw(text, plots / "attention.png")
        shown: dict[str, list[dict[str, str]]] = {}
        rows = zip(self.data.test.inputs, truths[::2], replies[::2], strict=True)
        for source, (target, _), reply in rows:
            those = shown.setdefault(target.part, [])
            if len(those) < 5:
                those.append({"source": source, "right": target.text, "said": reply["translations"][0]["text"]})
        return {}, {"examples": shown}

    def _draw(self, text: str, file: Path) -> None:
        """The alignment of the greedy translation, as the network itself has it."""
        network: Any = self.network.eval().cpu()
        tokens = self.codec.numbers(text)
        with torch.inference_mode():
            ((best,),) = search(network.begin, network.step, tokens[None], GREEDY, torch.tensor([most(tokens)]), 0.0)
        source, target = self.codec.pieces(text), self.codec.written(best.tokens)
        figure = Figure((2 + 0.3 * len(source), 2 + 0.3 * len(target)), layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(best.alignment[:, : len(source)], cmap="Greys", vmin=0, vmax=1)
        axes.set_xticks(range(len(source)), source, rotation=90)
        axes.set_yticks(range(len(target)), target, fontproperties=FontProperties(fname=NOTO))
        figure.savefig(file)


def compared(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """BLEU and chrF, from 0 to 100, of (said, right); Chinese is compared character by character, as sacreBLEU does."""
    said, right = map(list, zip(*pairs, strict=True))
    chinese = any("\u4e00" <= character <= "\u9fff" for text in right for character in text)
    bleu = BLEU(tokenize="zh" if chinese else "13a").corpus_score(said, [right]).score
    return {"bleu": float(bleu), "chrf": float(CHRF().corpus_score(said, [right]).score)}
