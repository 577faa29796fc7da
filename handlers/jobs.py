"""Requests that take many steps: what is kept of each from one to the next, and what is sent after each."""

import os
import time
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from handlers.base import Item
from handlers.replies import Answer
from handlers.row import Row

GRPC_STREAMS = "MARINA_GRPC_STREAMS"  # set for workers of a TorchServe that can


class Job(Protocol):
    """What a request needs from one step to the next."""

    @property
    def done(self) -> bool:
        """Was that the last step?"""

    @property
    def output(self) -> Any:
        """What `encode` makes the reply of, once the job is done."""


Work = TypeVar("Work", bound=Job)


@dataclass
class Running(Generic[Item, Work]):
    """A request that was begun."""

    request_id: str
    trace_id: str
    item: Item
    job: Work
    stream: bool
    steps: int = 0
    since: float = field(default_factory=time.perf_counter)


class Part(NamedTuple):
    """What is sent to a row now; `last` is None for a reply that comes in one piece."""

    answer: Answer
    last: bool | None


def over_grpc(row: Row) -> bool:
    """The reply must then say that it is the last, or StreamPredictions kills the worker."""
    return "host" not in row.headers


def streams(row: Row) -> bool:
    """Can the reply come in parts? TorchServe as it is drops a request over gRPC after the first (GRPCJob.isOpen says
    whether it was cancelled), so that it must hear nothing before the end; serving/grpc_streams.py mends that.
    """
    return row.flag("stream") and (not over_grpc(row) or GRPC_STREAMS in os.environ)
