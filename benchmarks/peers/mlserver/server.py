"""MLServer: an inference worker per core, adaptive batches. `server.py W1|W2 PORT`."""

import json
import os
import sys
from pathlib import Path

from benchmarks.machine import cores
from benchmarks.networks import BATCH


def main(workload: str, port: int) -> None:
    """Write MLServer's two settings files into the working directory, and become `mlserver start`."""
    server = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    server |= {"parallel_workers": cores(), "debug": False, "metrics_endpoint": None, "gzip_enabled": False}
    batches = {"max_batch_size": BATCH[workload], "max_batch_time": 0.001}
    model = {"name": "bench", "implementation": "model.Bench", **batches}
    Path("settings.json").write_text(json.dumps(server))
    Path("model-settings.json").write_text(json.dumps(model))
    os.environ |= {"BENCH_WORKLOAD": workload}
    os.environ["PYTHONPATH"] += os.pathsep + str(Path(__file__).parent)
    python = Path(sys.executable)
    os.execv(python, [str(python), str(python.with_name("mlserver")), "start", "."])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
