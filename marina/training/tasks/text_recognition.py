"""Text recognition: images of one line of text -> its characters."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.text import char_error_rate
from torchmetrics.text import CharErrorRate

from handlers.codecs.text_line import TextLineCodec
from marina.training.data.batches import Examples
from marina.training.data.dataset import Dataset, Split
from marina.training.data.formats.document_images import unknown_characters
from marina.training.losses import line_losses
from marina.training.metrics import line_metrics
from marina.training.task import EvaluationRequest, Task


class PathErrorRate(CharErrorRate):
    """Character error rate of the best paths, with the arguments that a task's metric receives."""

    def __init__(self, codec: TextLineCodec) -> None:
        super().__init__()
        self.codec = codec

    def update(self, preds: Tensor, target: Sequence[str]) -> None:  # type: ignore[override]
        super().update([self.codec.read(logits).text for logits in preds.cpu()], list(target))


class TextRecognition(Task):
    """Lines lie in memory as their ink, (W, H) of uint8, and are batched with others of about the same width; targets
    are their transcripts. The alphabet is that of the training split; card.json counts the test characters that it
    lacks (`unknown`), which are errors in every metric.
    """

    METRIC = "character_error_rate"
    MEMORY_FORMAT = torch.channels_last  # in which convolutions are faster
    codec: TextLineCodec

    def prepare(self) -> None:
        self.codec = TextLineCodec.fit(self.data.train.targets, **self.card.input)
        self.arguments = {"num_classes": len(self.codec.alphabet) + 1}  # one for the blank

    def encode(self, split: Split) -> Examples:
        return Examples([self.codec.ink(file) for file in split.inputs], list(split.targets))

    def inputs(self, batch: Tensor) -> Tensor:
        return self.codec.normalize(batch)

    def new_metric(self) -> Metric:
        return PathErrorRate(self.codec)

    def loss(self, outputs: Tensor, targets: Sequence[str]) -> Tensor:
        return line_losses.line_ctc_loss(outputs, targets, self.codec)

    @classmethod
    def requests(cls, data: Dataset) -> Iterator[EvaluationRequest]:
        for file, text in zip(data.test.inputs, data.test.targets, strict=True):
            yield EvaluationRequest(file, "image/jpeg" if file.startswith(b"\xff\xd8") else "image/png", text)

    @staticmethod
    def score(truths: Sequence[Any], responses: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return the character error rate, that of each script if there are two, and the share of lines without an
        error.
        """
        pairs = [(response["text"], truth) for truth, response in zip(truths, responses, strict=True)]
        chinese = [line_metrics.is_chinese(truth) for _, truth in pairs]
        parts = {"": pairs}
        if any(chinese) and not all(chinese):
            parts["_latin"] = [pair for pair, han in zip(pairs, chinese, strict=True) if not han]
            parts["_chinese"] = [pair for pair, han in zip(pairs, chinese, strict=True) if han]
        rates = {
            f"character_error_rate{name}": float(char_error_rate(*map(list, zip(*part, strict=True))))
            for name, part in parts.items()
        }
        return rates | {"accuracy": sum(read == truth for read, truth in pairs) / len(pairs)}

    def report(
        self, truths: Sequence[Any], responses: Sequence[Mapping[str, Any]], plots: Path
    ) -> tuple[dict[str, float], dict[str, Any]]:
        texts = [response["text"] for response in responses]
        line_metrics.draw_readings(self.data.test.inputs, truths, texts, plots / "readings.png")
        unknown = unknown_characters(self.codec.alphabet, truths)
        return {}, {"misread": line_metrics.frequent_mistakes(truths, texts)} | (
            {"unknown": unknown} if unknown else {}
        )
