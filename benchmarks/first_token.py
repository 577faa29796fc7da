"""Time to first token of a streamed text, relative to the time of the whole response, through Envoy.

Sends requests to the running bundle (make serve MODELS=rnn_lm), one after the other.
"""

import json
import os
import time

import httpx

from benchmarks import machine
from benchmarks.results.intervals import of_median

REQUESTS, LENGTH = 30, 200
HOST = os.environ.get("HOST", "http://127.0.0.1:8000")
ASKED = {"text": "酒店的房间", "length": LENGTH, "stream": True}


def ratio(client: httpx.Client, seed: int) -> tuple[float, int]:
    """Return the time to the first token over that of the whole response, and the number of tokens."""
    start, first, tokens = time.perf_counter(), 0.0, 0
    with client.stream("POST", "/predictions/rnn_lm", json={**ASKED, "seed": seed}) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            tokens += "token" in json.loads(line)
            first = first or time.perf_counter() - start
    return first / (time.perf_counter() - start), tokens


def main() -> None:
    print(machine.facts())
    with httpx.Client(base_url=HOST, timeout=60, trust_env=False) as client:
        ratio(client, 0)
        found = [ratio(client, seed) for seed in range(REQUESTS)]
    shares, tokens = zip(*found, strict=True)
    print(f"{REQUESTS} texts of {min(tokens)} to {max(tokens)} tokens, one at a time")
    print(f"first token / whole reply: {of_median(shares).text('.3f')}; the worst {max(shares):.3f}")


if __name__ == "__main__":
    main()
