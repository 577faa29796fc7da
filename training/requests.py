"""The test split as requests: what clients send and what the answer should be. Cheap to import: types only.

Offline evaluation, the tests over HTTP and the load test all send these and count the replies with `score`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request and its `truth`: the right label, or the right number."""

    body: bytes
    content_type: str
    truth: Any


def of(
    name: str, data: str | None = None, limit: int | None = None, sizes: Mapping[str, int] | None = None
) -> Iterator[Request]:
    """The test split of the model called `name`, in order, at most `limit`; `data` as for training.

    For those that a card was evaluated on: `data=card["data"]["name"], sizes=card["data"]["sizes"]`. A quick run sees
    the first of each split, and what is real to its judge are those.
    """
    import models
    from training import tasks
    from training.data import find

    card = models.find(name)
    loaded = find(data or card.data).load(card.task)
    yield from islice(tasks.find(card.task).requests(loaded.head(sizes or {})), limit)


def score(name: str, truths: Sequence[Any], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The metrics of the model's JSON replies, in the order of the requests: those of the card under the same names."""
    import models
    from training import tasks

    return tasks.find(models.find(name).task).score(truths, replies)
