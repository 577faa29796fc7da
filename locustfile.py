"""The load test: real inputs from the test splits, every response read and checked.

`make load-test` runs it without a page; `.venv/bin/locust` opens the page. MODELS names the models that get requests
(the starter models by default), HOST another entry than http://127.0.0.1:8000; `make load-test` gives the address of
the running bundle. MARINA_API_KEY is the access key, where the bundle needs one.
"""

import logging
import os
import random
from collections import defaultdict, deque
from functools import cache
from typing import Any

from jsonschema import ValidationError, validate
from locust import HttpUser, between, events, task

import models
from marina.handler_lookup import handler_class
from marina.training import evaluation
from marina.training.task import EvaluationRequest

SAMPLE = 200  # requests a model, of its test split
KEPT = 1000  # the latest responses of each model, for its metrics
LOADED = os.environ.get("MODELS", "").split() or [name for name in models.names() if models.find(name).starter]
TASKS = sorted({models.find(name).task for name in LOADED})
pairs_by_model: defaultdict[str, deque[tuple[Any, Any]]] = defaultdict(lambda: deque(maxlen=KEPT))


@cache
def test_requests(name: str) -> list[EvaluationRequest]:
    return list(evaluation.requests_of(name, limit=SAMPLE))


class ModelUser(HttpUser):
    """A user who sends requests to the task's models in turn, and now and then requests an explanation."""

    abstract = True
    kind: str
    host = os.environ.get("HOST", "http://127.0.0.1:8000")
    wait_time = between(0.1, 0.5)  # seconds between two requests of one user

    def on_start(self) -> None:
        self.names = [name for name in LOADED if models.find(name).task == self.kind]
        self.handler = handler_class(self.kind)
        self.client.verify = False  # our own certificate, on our own machine, is often self-signed
        if key := os.environ.get("MARINA_API_KEY", ""):
            self.client.headers["authorization"] = f"Bearer {key}"

    @task(20)
    def predict(self) -> None:
        self.send("predictions", self.handler.response_schema)

    @task(1)
    def explain(self) -> None:
        if self.handler.explanation_schema is not None:
            self.send("explanations", self.handler.explanation_schema)

    def send(self, verb: str, schema: dict[str, Any]) -> None:
        """Send one request; a response that violates the handler's JSON schema is a failure, whatever its status."""
        name = random.choice(self.names)  # noqa: S311 - not a secret
        request = random.choice(test_requests(name))  # noqa: S311
        headers = {"content-type": request.content_type}
        path = f"/{verb}/{name}"
        with self.client.post(path, data=request.body, headers=headers, name=path, catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code}: {response.text[:200]}")
                return
            content = response.json()
            try:
                validate(content, schema)
            except ValidationError as exc:
                response.failure(f"the response violates the schema: {exc.message[:200]}")
                return
            if content["model"] != name:
                response.failure(f"the response is from {content['model']}")
            elif verb == "predictions":
                pairs_by_model[name].append((request.truth, content))


for _kind in TASKS:
    _name = "".join(word.capitalize() for word in _kind.split("_")) + "User"
    globals()[_name] = type(_name, (ModelUser,), {"kind": _kind})


@events.init.add_listener
def read_test_splits(**_: Any) -> None:
    """Read the test splits before the clock starts: reading them later would hold up every user."""
    for name in LOADED:
        test_requests(name)


@events.quitting.add_listener
def print_metrics(**_: Any) -> None:
    """Print each model's metrics: responses that are fast and wrong don't count."""
    for name, pairs in sorted(pairs_by_model.items()):
        truths, contents = zip(*pairs, strict=True)
        metrics = evaluation.score(name, truths, contents).items()
        summary = ", ".join(f"{metric} {value:.3f}" for metric, value in metrics)
        logging.info("%-20s %s of %d responses", name, summary, len(pairs))
