"""A pipeline of scikit-learn as an ONNX program, run by onnxruntime; its bytes are the weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LEAST = 1e-7  # probability, of which the logarithm is finite
NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
TEXTS = "tensor(string)"


class OnnxPipeline(nn.Module):
    """(N, F) -> a number each, (N,), or log-probabilities, (N, classes), in the order of `labels`.

    `inputs` has name, type and number of columns of each of the program's inputs. A text takes `text_bytes` of F.
    """

    differentiable = False

    def __init__(self, size: int, inputs: Sequence[Sequence[Any]], labels: Sequence[Any], text_bytes: int) -> None:
        super().__init__()
        self.inputs, self.labels, self.text_bytes = inputs, labels, text_bytes
        self.register_buffer("program", torch.zeros(size, dtype=torch.uint8))
        self._session: Any = None

    def forward(self, x: Tensor) -> Tensor:
        table, feeds, start = x.detach().cpu().numpy(), {}, 0
        for name, kind, count in self.inputs:
            width = count * (self.text_bytes if kind == TEXTS else 1)
            part, start = table[:, start : start + width], start + width
            if kind == TEXTS:
                texts = [
                    bytes(row[row > 0].astype(np.uint8)).decode(errors="replace")
                    for row in _rows(part, self.text_bytes)
                ]
                feeds[name] = np.array(texts, dtype=object).reshape(len(table), count)
            else:
                feeds[name] = part.astype(NUMBERS[kind])
        outputs = self.session.run(None, feeds)
        if not self.labels:
            return torch.from_numpy(np.asarray(outputs[0], dtype=np.float32).reshape(len(table))).to(x.device)
        probabilities = outputs[-1]
        if isinstance(probabilities, list):  # ZipMap: a dictionary for each row
            probabilities = [[row[label] for label in self.labels] for row in probabilities]
        found = torch.from_numpy(np.asarray(probabilities, dtype=np.float32)).to(x.device)
        return found.clamp(min=LEAST).log()

    @property
    def session(self) -> Any:
        """The program, opened on first use: the weights are loaded after construction."""
        if self._session is None:
            import onnxruntime  # other models need none

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            content = self.get_buffer("program").cpu().numpy().tobytes()
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return self._session


def _rows(part: Any, width: int) -> Any:
    """The bytes of each text, (texts, width)."""
    return part.reshape(-1, width)
