"""LitServe: a worker per core, small batches, its fast queue. `server.py W1|W2 PORT`."""

import sys
from typing import Annotated

import litserve
from fastapi import Depends, Request, Response

from benchmarks.machine import cores
from benchmarks.networks import BATCH, tuned


async def raw(request: Request) -> bytes:
    """Return the raw body."""
    return await request.body()


class Api(litserve.LitAPI):
    """LitServe's hooks; a batch is a list of bodies."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe gives it
        self.model = tuned(sys.argv[1])

    def decode_request(self, request: Annotated[bytes, Depends(raw)]) -> bytes:
        return request

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return inputs

    def predict(self, bodies: list[bytes]) -> list[bytes]:
        return self.model.respond(bodies)

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="application/json")


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH[sys.argv[1]], batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=cores(), fast_queue=True, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
