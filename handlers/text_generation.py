"""The beginning of a text -> the rest of it, a token at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import NOT_FINITE, Reply
from handlers.codecs.phrases import END, PhraseCodec
from handlers.codecs.text import text_of
from handlers.replies import BOOLEAN, INTEGER, NUMBER, STRING, TEXT, array, schema
from handlers.row import Row
from handlers.sampling import Sampling
from handlers.streaming import StreamingHandler
from handlers.writing import Wish, Writing

LENGTH, MOST = 50, 500  # tokens that are added


class TextGeneration(StreamingHandler[Wish, Writing]):
    """All texts that are under way get their next token in one pass, wherever each is."""

    REQUEST: ClassVar[Mapping[str, Any]] = TEXT
    REPLY: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        text=STRING,
        perplexity=NUMBER,
        tokens=INTEGER,  # of the text, which the perplexity is a mean over
        ended=BOOLEAN,  # by the model itself, not by `length`
        unknown=array(STRING),
    )
    NOT_EXPLAINED = "a text that is drawn has no reasons but the probabilities; the perplexity says how likely it was"

    def setup(self) -> None:
        self.codec = codecs.load(PhraseCodec, self.folder)
        network: Any = self.network
        self.run = network.read

    def decode(self, row: Row) -> Wish:
        text = text_of(row.field("text"), self.codec.max_characters, row.flag("truncate"))
        length = row.whole("length", 0, MOST)
        return Wish(text, self.codec.numbers(text), LENGTH if length is None else length, Sampling.of(row))

    def first_input(self, item: Wish) -> Tensor:
        return item.tokens.unsqueeze(0)

    def begin(self, item: Wish) -> Writing:
        logits, state = self._read(self.first_input(item), None)
        return Writing(item, logits[0], state[0])

    def step(self, jobs: Sequence[Writing]) -> list[dict[str, Any] | None]:
        tokens = [None if job.done else job.write() for job in jobs]  # done from the start is who only wants to read
        going = [job for job in jobs if not job.done]
        if going:
            last = torch.tensor([[job.added[-1]] for job in going])  # (N, 1)
            logits, states = self._read(last, torch.stack([job.state for job in going]))
            for job, its_logits, its_state in zip(going, logits[:, -1], states, strict=True):
                job.logits, job.state = its_logits, its_state
        return [None if token in (None, END) else {"token": self.codec.piece(token)} for token in tokens]

    def encode(self, output: Writing, item: Wish) -> Reply:
        if output.broken:
            return NOT_FINITE
        return {
            "text": item.text + "".join(map(self.codec.piece, output.added)),
            "perplexity": output.perplexity,
            "tokens": output.read + len(output.added),
            "ended": output.ended,
            "unknown": self.codec.unknown(item.text),
        }

    @torch.inference_mode()
    def _read(self, ids: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits on the processor, where tokens are chosen; the state stays where the network is."""
        read: Any = self.run
        logits, after = read(ids.to(self.device), state)
        return logits.float().cpu(), after
