"""Budget of what one batch decodes: many large images, videos or PDFs at once must not hold the worker.

Small images are always decoded, so that a client who sends one never waits for the large ones of others. What is left
over gets a 429. Outside of a batch, in training for example, there is no limit.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from handlers.errors import TooManyRequests

FREE_PIXELS = 2_000_000  # of an image that is always decoded: Full HD
BATCH_PIXELS = 80_000_000  # of all larger ones: two of the largest allowed, one or two seconds
BATCH_SECONDS = 8.0  # after which no more large ones are begun; responses have 30 s
PDF_PIXELS = 20_000_000  # that one PDF counts as: it may take five seconds


class DecodingBudget:
    """The pixels and the time that are left to a batch."""

    def __init__(self) -> None:
        self.pixels = BATCH_PIXELS
        self.deadline = time.monotonic() + BATCH_SECONDS

    def spend(self, pixels: int, field: str) -> None:
        """Take `pixels` from the budget. Raises TooManyRequests if they are not left, or the time is over."""
        if pixels <= FREE_PIXELS:
            return
        if pixels > self.pixels or time.monotonic() > self.deadline:
            raise TooManyRequests(
                field, f"too many large files at once: a batch decodes {BATCH_PIXELS} pixels; send it again, or smaller"
            )
        self.pixels -= pixels


_current: ContextVar[DecodingBudget | None] = ContextVar("decoding_budget", default=None)


@contextmanager
def decoding_budget() -> Iterator[None]:
    """Give what is decoded inside one budget."""
    token = _current.set(DecodingBudget())
    try:
        yield
    finally:
        _current.reset(token)


def spend_pixels(pixels: int, field: str) -> None:
    """Take `pixels` from the budget of the batch, if there is one. Raises TooManyRequests(field)."""
    budget = _current.get()
    if budget is not None:
        budget.spend(pixels, field)
