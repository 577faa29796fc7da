"""Requests that take many steps: what is kept of each from one to the next, and what is sent after each."""

import time
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from handlers.base import Item
from handlers.replies import Answer
from handlers.row import Row


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
    """TorchServe drops such a request after its first part (GRPCJob.isOpen says whether it was cancelled), so that it
    must hear nothing before the end; and its reply must say that it is the last, or StreamPredictions kills the worker.
    """
    return "host" not in row.headers
