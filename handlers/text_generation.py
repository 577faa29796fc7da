"""Text generation: a prompt -> its continuation, a token at a time."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from handlers import codecs
from handlers.base import NOT_FINITE, ResponseLike
from handlers.codecs.phrases import END, PhraseCodec
from handlers.request import Request
from handlers.response import BOOLEAN, INTEGER, NUMBER, STRING, TEXT, array, schema
from handlers.streaming import StreamingHandler
from handlers.text.generation_job import GenerationInput, GenerationJob
from handlers.text.text_request import text_content
from handlers.text.token_sampling import Sampling

DEFAULT_LENGTH, MAX_LENGTH = 50, 500  # new tokens


class TextGeneration(StreamingHandler[GenerationInput, GenerationJob]):
    """Generates all running texts together: each step is one forward pass that gives every text its next token."""

    request_schema: ClassVar[Mapping[str, Any]] = TEXT
    response_schema: ClassVar[Mapping[str, Any]] = schema(
        model=STRING,
        version=STRING,
        text=STRING,
        perplexity=NUMBER,
        tokens=INTEGER,  # number of tokens that the perplexity is averaged over
        ended=BOOLEAN,  # by <END>, not by `length`
        unknown=array(STRING),
    )
    no_explanation_reason = (
        "a text that is drawn has no reasons but the probabilities; the perplexity shows how likely it was"
    )

    def setup(self) -> None:
        self.codec = codecs.load(PhraseCodec, self.folder)
        network: Any = self.network
        self.optimized_network = network.read

    def decode(self, request: Request) -> GenerationInput:
        text = text_content(request.field("text"), self.codec.max_characters, request.flag("truncate"))
        length = request.integer("length", 0, MAX_LENGTH)
        return GenerationInput(
            text, self.codec.numbers(text), DEFAULT_LENGTH if length is None else length, Sampling.from_request(request)
        )

    def first_input(self, decoded: GenerationInput) -> Tensor:
        return decoded.tokens.unsqueeze(0)

    def begin(self, decoded: GenerationInput) -> GenerationJob:
        logits, state = self._read(self.first_input(decoded), None)
        return GenerationJob(decoded, logits[0], state[0])

    def step(self, jobs: Sequence[GenerationJob]) -> list[dict[str, Any] | None]:
        # With length 0 a job is done from the start.
        tokens = [None if job.done and job.drawn is None else job.next_token() for job in jobs]
        running = [job for job in jobs if not job.done]
        if running:
            last = torch.tensor([[job.added[-1]] for job in running])  # (N, 1)
            logits, states = self._read(last, torch.stack([job.state for job in running]))
            for job, its_logits, its_state in zip(running, logits[:, -1], states, strict=True):
                job.logits, job.state = its_logits, its_state
        for job in jobs:
            job.drawn = None
        return [None if token in (None, END) else {"token": self.codec.piece(token)} for token in tokens]

    def encode(self, output: GenerationJob, decoded: GenerationInput) -> ResponseLike:
        if output.not_finite:
            return NOT_FINITE
        return {
            "text": decoded.text + "".join(map(self.codec.piece, output.added)),
            "perplexity": output.perplexity,
            "tokens": output.prompt_count + len(output.added),
            "ended": output.ended,
            "unknown": self.codec.unknown(decoded.text),
        }

    @torch.inference_mode()
    def _read(self, ids: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run the network. The logits go to the CPU, where tokens are sampled; the state stays on the device."""
        read: Any = self.optimized_network
        logits, after = read(ids.to(self.device), state)
        return logits.float().cpu(), after
