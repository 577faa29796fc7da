"""Prove that the workers use the GPUs."""

import pynvml
import typer
from rich.table import Table

from serving.commands import ask
from serving.errors import MarinaError
from serving.settings import Settings


def processes() -> dict[int, tuple[int, int]]:
    """By pid: the GPU a process computes on, and the bytes it holds there. Raises pynvml.NVMLError without a driver."""
    pynvml.nvmlInit()
    found: dict[int, tuple[int, int]] = {}
    for index in range(pynvml.nvmlDeviceGetCount()):
        for process in pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByIndex(index)):
            found[process.pid] = (index, process.usedGpuMemory or 0)
    return found


def gpu_check() -> None:
    """Check that the driver sees each ready worker compute on a GPU; skips where there is none."""
    settings = Settings()
    try:
        on_gpu = processes()
    except pynvml.NVMLError as fault:
        ask.console.print(f"skipped: there is no NVIDIA GPU here ({fault})")
        raise typer.Exit from fault
    ask.running(settings)
    status = ask.status(settings)
    if status is None:
        raise MarinaError("control does not answer; see `make status`")
    table, missing = Table("model", "version", "worker", "GPU", "MiB"), []
    for name, model in status.models.items():
        for version, it in model.versions.items():
            for worker in it.workers:
                index, size = on_gpu.get(worker.pid, (None, 0))
                table.add_row(name, version, str(worker.pid), "-" if index is None else str(index), str(size >> 20))
                if index is None:
                    missing.append(f"{name} {version} (worker {worker.pid})")
    ask.console.print(table)
    if missing:
        raise MarinaError(f"not on a GPU: {', '.join(missing)}. In a container, the driver needs the host's pids.")
