"""Triton through pytriton: an instance per core, dynamic batches. `server.py W1|W2 PORT`."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from benchmarks.machine import cores
from benchmarks.networks import BATCH, tuned


class Infer:
    """An instance, each in its own process, which loads the model at the first call."""

    def __init__(self, workload: str) -> None:
        self.workload = workload
        self.model: Any = None

    @batch
    def __call__(self, body: Any) -> dict[str, Any]:
        if self.model is None:
            self.model = tuned(self.workload)
        replies = self.model.respond([bytes(row[0]) for row in body])
        return {"reply": np.array([[reply] for reply in replies], dtype=object)}


def main(workload: str, port: int) -> None:
    """Batches wait 1 ms at most; metrics and gRPC are off."""
    # Tensors are sent by socket: shared memory fails with a Python newer than 3.11, which Triton is linked with.
    os.environ["PYTRITON_NO_TENSORSTORE"] = "1"
    batcher = DynamicBatcher(max_queue_delay_microseconds=1000)
    config = TritonConfig(
        http_address="127.0.0.1", http_port=port, http_thread_count=4, allow_grpc=False, allow_metrics=False
    )
    with Triton(config=config, workspace=Path.cwd() / "workspace") as triton:
        triton.bind(
            model_name="bench",
            infer_func=[Infer(workload) for _ in range(cores())],
            inputs=[Tensor(name="body", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="reply", dtype=bytes, shape=(1,))],
            config=ModelConfig(max_batch_size=BATCH[workload], batcher=batcher),
        )
        triton.serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
