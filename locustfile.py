"""The load test: real inputs from the test splits, every reply read and checked.

`make load-test` runs it without a page; `.venv/bin/locust` opens the page. MODELS names the models to be asked (the
starter models by default), HOST another entry than http://127.0.0.1:8000.
"""

import logging
import math
import os
import random
from collections import Counter
from functools import cache
from typing import Any

from locust import HttpUser, between, events, task

import models
from training import requests

SAMPLE = 200  # requests a model, of its test split
ASKED = os.environ.get("MODELS", "").split() or [name for name in models.names() if models.find(name).starter]
right: Counter[str] = Counter()
answered: Counter[str] = Counter()


@cache
def test_requests(name: str) -> list[requests.Request]:
    return list(requests.of(name, limit=SAMPLE))


def of_task(kind: str) -> list[str]:
    return [name for name in ASKED if models.find(name).task == kind]


class ModelUser(HttpUser):
    """Somebody who asks one of the task's models after another, and now and then asks why."""

    abstract = True
    kind: str
    host = os.environ.get("HOST", "http://127.0.0.1:8000")
    wait_time = between(0.1, 0.5)  # seconds between two requests of one user

    @task(20)
    def predict(self) -> None:
        self.ask("predictions")

    @task(1)
    def explain(self) -> None:
        self.ask("explanations")

    def ask(self, verb: str) -> None:
        name = random.choice(of_task(self.kind))  # noqa: S311 - not a secret
        request = random.choice(test_requests(name))  # noqa: S311
        headers = {"content-type": request.content_type}
        path = f"/{verb}/{name}"
        with self.client.post(path, data=request.body, headers=headers, name=path, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code}: {response.text[:200]}")
                return
            fault = self.fault(verb, name, request, response.json())
            if fault:
                response.failure(fault)

    def fault(self, verb: str, name: str, request: requests.Request, reply: dict[str, Any]) -> str | None:
        """What is wrong with the body of a 200, if anything."""
        if reply.get("model") != name:
            return f"answered by {reply.get('model')}"
        return self.bad_explanation(reply) if verb == "explanations" else self.bad_prediction(name, request, reply)

    def bad_prediction(self, name: str, request: requests.Request, reply: dict[str, Any]) -> str | None:
        del name, request
        return None if reply.keys() > {"model", "version"} else f"no answer: {reply}"

    def bad_explanation(self, reply: dict[str, Any]) -> str | None:
        return None if math.isfinite(reply.get("convergence_delta", math.nan)) else f"no explanation: {reply}"


class Classifying(ModelUser):
    abstract = True

    def bad_prediction(self, name: str, request: requests.Request, reply: dict[str, Any]) -> str | None:
        probabilities = [prediction["probability"] for prediction in reply.get("predictions", [])]
        if not probabilities or not 0 < sum(probabilities) <= 1.001 or probabilities != sorted(probabilities)[::-1]:
            return f"not probabilities in falling order: {reply}"
        answered[name] += 1
        right[name] += reply["predictions"][0]["label"] == request.truth
        return None


class ImageClassificationUser(Classifying):
    kind = "image_classification"
    abstract = not of_task(kind)


class TextClassificationUser(Classifying):
    kind = "text_classification"
    abstract = not of_task(kind)


class TabularRegressionUser(ModelUser):
    kind = "tabular_regression"
    abstract = not of_task(kind)

    def bad_prediction(self, name: str, request: requests.Request, reply: dict[str, Any]) -> str | None:
        del name, request
        return None if math.isfinite(reply.get("prediction", math.nan)) else f"not a number: {reply}"


@events.init.add_listener
def read_test_splits(**_: Any) -> None:
    """Before the clock starts: reading them would hold up every user."""
    for name in ASKED:
        test_requests(name)


@events.quitting.add_listener
def print_accuracy(**_: Any) -> None:
    """Answers that are fast and wrong are no answers."""
    for name, count in sorted(answered.items()):
        logging.info("%-20s %4.1f %% of %d answers were right", name, 100 * right[name] / count, count)
