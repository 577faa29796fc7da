"""BentoML: a worker per core, adaptive batches. `server.py W1|W2 PORT`."""

import os
import sys
from pathlib import Path

from benchmarks.machine import cores


def main(workload: str, port: int) -> None:
    """Become `bentoml serve` for one of the two services."""
    here, python = Path(__file__).parent, Path(sys.executable)
    os.environ |= {"BENTOML_DO_NOT_TRACK": "1", "BENTOML_HOME": str(Path.cwd()), "BENCH_WORKERS": str(cores())}
    command = ["serve", f"service:{workload}", "--port", str(port), "--host", "127.0.0.1", "--working-dir", str(here)]
    os.execv(python, [str(python), str(python.with_name("bentoml")), *command])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
