"""TorchServe's continuous batching without TorchServe: the handler that counts, called again and again."""

import json

from ts.context import Context, RequestProcessor
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.protocol.otf_message_handler import create_predict_response

from tests.serve.support.counting_handler import Counting
from tests.support.worker import JSON, METRICS

HTTP = {**JSON, "host": "here"}


class Frontend:
    """Frontend that does what ContinuousBatching.java does: jobs stay until the response marked as their last."""

    def __init__(self, folder, continuous=True):
        card = {"name": "counting", "version": "1.0", "serving": {"batch_size": 4, "threads": 1}}
        (folder / "card.json").write_text(json.dumps({**card, "example": {"file": "none"}}))
        cache = MetricsCacheYamlImpl(str(METRICS))
        cache.initialize_cache()
        yaml = {"continuousBatching": continuous}
        self.context = Context("counting", str(folder), {}, 4, None, "0.12.0", metrics=cache, model_yaml_config=yaml)
        self.handler = Counting()
        self.handler.initialize(self.context)
        self.jobs, self.got, self.status = {}, {}, {}

    def post(self, name, body, headers=HTTP):
        self.jobs[name] = ({"body": body}, headers)
        self.got[name] = []

    def step(self):
        """One batch: TorchServe's own code processes what the handler returned."""
        names = list(self.jobs)
        self.context.request_ids = dict(enumerate(names))
        self.context.request_processor = [RequestProcessor(dict(headers)) for _, headers in self.jobs.values()]
        bodies = self.handler.handle([fields for fields, _ in self.jobs.values()], self.context)
        assert len(bodies) == len(names)
        create_predict_response(bodies, self.context.request_ids, "Prediction success", 200, self.context)
        for index, name in self.context.request_ids.items():
            following = self.context.get_response_headers(index).get("ts_stream_next")
            self.got[name].append((bodies[index], following))
            self.status[name] = self.context.get_response_status(index)[0]
            if following == "true":
                self.jobs[name] = ({}, self.jobs[name][1])  # the worker has seen the rest
            else:
                del self.jobs[name]

    def lines(self, name):
        return [json.loads(line) for body, _ in self.got[name] for line in body.splitlines()]
