"""Fuzzing of every handler's `decode`: whatever a client sends is an input or a BadRequest.

`make test` takes the same few examples each time, `make fuzz TIME=600` other ones for as many seconds.
"""

import os
import random
import time

import pytest
from hypothesis import HealthCheck, given, seed, settings

import models
from handlers.codecs.decoding_budget import decoding_budget
from handlers.errors import BadRequest
from handlers.response import Response
from tests import tasks
from tests.support import requests

MODEL_OF = {models.find(name).task: name for name in reversed(models.names())}  # one model of each task
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
EXAMPLES = 200 if SECONDS else 15
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@pytest.mark.filterwarnings("ignore")  # Pillow warns of much that it can read
@pytest.mark.parametrize("task", sorted(MODEL_OF))
def test_whatever_is_sent_is_decoded_or_refused(worker, task):
    handler, samples = worker(MODEL_OF[task]).handler, list(tasks.find(task).GOOD.values())
    samples += [request for request, _ in tasks.find(task).BAD.values()]

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=not SECONDS, database=None, suppress_health_check=CHECKS
    )
    @given(requests.requests(samples, requests.files(samples)))
    def decode(request):
        for read in (handler.decode, lambda sent: sent.option("target")):
            try:
                with decoding_budget():
                    read(request)
            except BadRequest as exc:
                Response.bad_request(exc)

    decode()
    end = time.monotonic() + SECONDS / len(MODEL_OF)
    while time.monotonic() < end:
        seed(random.getrandbits(64))(decode)()
