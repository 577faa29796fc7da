"""What every handler inherits, on one that multiplies a number: loading, batches, errors, headers and counts."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from ts.context import Context, RequestProcessor

from handlers import meter
from handlers.base import TaskHandler, finite
from handlers.errors import BadRequest
from handlers.replies import MAX_BYTES, Answer
from tests.metrics import Cache

EXPLAIN = {"explain": "True"}
SERVING = {"threads": 2, "batch_size": 3, "precision": "fp32", "channels_last": False, "runtime": "eager"}


class Scale(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))
        self.dropout = nn.Dropout(0.5)

    def forward(self, batch: Tensor) -> Tensor:
        return self.dropout(batch * self.factor)


class Scaling(TaskHandler[Tensor]):
    """`x` is the input; the options `encoded` and `target` say what comes back in place of the number."""

    REQUEST = {"application/json": {}}  # noqa: RUF012
    REPLY = {"type": "object"}  # noqa: RUF012
    NOT_EXPLAINED = "a product explains itself"

    def setup(self) -> None:
        self.rows, self.batches, self.asked = [], [], []

    def decode(self, row) -> Tensor:
        self.rows.append(row)
        number = row.number("x", -100, 100)
        if number is None:
            raise BadRequest("x", "not given")
        return torch.tensor([number])

    def forward(self, batch):
        self.batches.append((len(batch), torch.is_inference_mode_enabled()))
        return super().forward(batch)

    def encode(self, output, item):
        return {"prediction": round(float(output), 3), "of": float(item)}


class Explaining(Scaling):
    EXPLANATION = {"type": "object"}  # noqa: RUF012

    def explain(self, item, target):
        self.asked.append((float(item), target, torch.is_inference_mode_enabled()))
        if target == "bad":
            raise BadRequest("target", "no such thing")
        if target == "png":
            return Answer(b"\x89PNG", content_type="image/png")
        return {"prediction": 0, "why": target}


@pytest.fixture
def folder(tmp_path, monkeypatch, threads):
    """Artifacts whose weights differ from what a new network has."""
    monkeypatch.setitem(sys.modules, "models.scale", SimpleNamespace(CARD=SimpleNamespace(network=Scale)))
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(meter, "EVERY_SECONDS", 3600)
    save_file({"factor": torch.tensor(3.0)}, tmp_path / "model.safetensors")
    card = {"name": "scale", "version": "2.1", "task": "scaling", "network": {"factor": 1.0}, "serving": SERVING}
    card["example"] = {"file": "example.json", "content_type": "application/json"}
    (tmp_path / "card.json").write_text(json.dumps(card | {"title": "倍"}), encoding="utf-8")
    return tmp_path


@pytest.fixture
def threads():
    """How many threads torch was told to use."""
    return []


@pytest.fixture
def served(folder):
    """`served(kind)`: a handler of that class and its context, initialized as TorchServe does."""

    def of(kind):
        context = Context("scale", str(folder), {}, 3, None, "0.12.0", metrics=Cache())
        handler = kind()
        handler.initialize(context)
        return handler, context

    return of


def post(handler, context, *rows):
    """The (status, phrase), content type, x-prediction and body of each row: (fields, headers) of one batch."""
    context.request_processor = [RequestProcessor(dict(headers)) for _, headers in rows]
    context.request_ids = {i: f"id-{i}" for i in range(len(rows))}
    bodies = handler.handle([fields for fields, _ in rows], context)
    got = []
    for i, body in enumerate(bodies):
        headers = context.get_response_headers(i)
        got.append((context.get_response_status(i), headers.get("content-type"), headers.get("x-prediction"), body))
    return got


def test_the_weights_of_the_folder_are_loaded_for_inference_only(served, folder, threads):
    handler, _ = served(Scaling)
    assert (handler.folder, handler.device) == (folder, torch.device("cpu"))
    assert handler.card["title"] == "倍"
    assert float(handler.network.factor) == 3
    assert not handler.network.factor.requires_grad
    assert not handler.network.training
    assert handler.run(torch.tensor([[2.0]])).tolist() == [[6.0]]
    assert handler.rows == []  # no example, no warm-up
    assert threads == [2]


@pytest.mark.parametrize(
    ("gpu", "available", "device"), [(None, True, "cpu"), (1, True, "cuda:1"), (0, True, "cuda:0"), (1, False, "cpu")]
)
def test_a_worker_uses_the_gpu_that_it_was_given(monkeypatch, folder, gpu, available, device):
    used = []

    def load(self, folder, device):
        used.append((folder, device))
        self.card = {"name": "scale", "version": "2.1"}

    monkeypatch.setattr(Scaling, "load", load)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    Scaling().initialize(Context("scale", str(folder), {}, 3, gpu, "0.12.0", metrics=Cache()))
    assert used == [(folder, torch.device(device))]


def test_the_example_warms_up_every_batch_size(served, folder):
    (folder / "example.json").write_text('{"x": 1}')
    handler, _ = served(Scaling)
    (row,) = handler.rows
    assert (row.body, row.request_id) == ({"x": 1}, "warm-up")
    assert row.headers == {"content-type": "application/json"}
    assert handler.batches == [(1, True), (2, True), (3, True)]


def test_the_good_rows_of_a_batch_share_one_forward_pass(served):
    handler, context = served(Scaling)
    one, bad, two = post(handler, context, ({"x": "1.5"}, {}), ({}, {}), ({"x": "-2"}, {}))
    body = b'{"model":"scale","version":"2.1","prediction":4.5,"of":1.5}'
    assert one == ((200, "OK"), "application/json", '{"prediction":4.5}', body)
    assert json.loads(two[3])["prediction"] == -6
    assert bad[:3] == ((400, "Bad Request"), "application/json", None)
    assert json.loads(bad[3]) == {"code": 400, "type": "BadRequest", "message": "not given", "field": "x"}
    assert handler.batches == [(2, True)]
    assert [row.request_id for row in handler.rows] == ["id-0", "id-1", "id-2"]


def test_answers_are_counted_and_stages_timed_under_the_models_name(served):
    handler, context = served(Scaling)
    post(handler, context, ({"x": "1"}, {}), ({}, {}), ({"x": "2"}, {}))
    handler.meter.report()
    assert context.metrics.counted("marina_answers_total") == {("scale", "2.1", "200"): 2, ("scale", "2.1", "400"): 1}
    for stage in ("request", "decode", "forward", "encode"):
        ((seconds, labels),) = context.metrics.metrics[f"marina_{stage}_seconds"].values
        assert (seconds >= 0, labels) == (True, ("scale", "2.1"))


def test_nothing_is_computed_where_nothing_is_predicted(served):
    handler, context = served(Explaining)
    post(handler, context, ({}, {}), ({"x": "1"}, EXPLAIN))
    handler.meter.report()
    assert handler.batches == []
    assert context.metrics.metrics["marina_forward_seconds"].values == []
    assert context.metrics.metrics["marina_encode_seconds"].values == []


def test_explanations_come_after_the_forward_pass_in_the_place_of_their_row(served):
    handler, context = served(Explaining)
    rows = [({"x": "1", "target": "t"}, EXPLAIN), ({"x": "2"}, {}), ({"x": "3"}, EXPLAIN)]
    rows += [({"x": "4", "target": "bad"}, EXPLAIN), ({"x": "5", "target": "png"}, EXPLAIN)]
    why, predicted, why_not, bad, picture = post(handler, context, *rows)
    assert why == ((200, "OK"), "application/json", None, b'{"model":"scale","version":"2.1","prediction":0,"why":"t"}')
    assert json.loads(predicted[3])["prediction"] == 6
    assert json.loads(why_not[3])["why"] is None
    assert (bad[0], json.loads(bad[3])["field"]) == ((400, "Bad Request"), "target")
    assert picture[1:] == ("image/png", None, b"\x89PNG")
    assert sorted(handler.asked) == [(1.0, "t", False), (3.0, None, False), (4.0, "bad", False), (5.0, "png", False)]


def test_a_handler_without_explanations_says_why(served):
    handler, context = served(Scaling)
    ((status, _, _, body),) = post(handler, context, ({"x": "1"}, EXPLAIN))
    assert status == (400, "Bad Request")
    assert json.loads(body)["message"] == "a product explains itself"
    assert json.loads(body)["field"] == "explain"


def test_a_bug_is_raised_and_logged_with_the_ids_of_the_whole_batch(served, monkeypatch, caplog):
    handler, context = served(Scaling)
    monkeypatch.setattr(handler, "encode", lambda output, item: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        post(handler, context, ({"x": "1"}, {"x-request-id": "from-envoy"}), ({"x": "1"}, {}))
    assert "failed requests: from-envoy, id-1" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_an_output_that_is_not_finite_is_an_error_of_its_row_alone(served):
    handler, context = served(Scaling)
    handler.run = lambda batch: torch.where(batch > 1, float("inf"), batch)
    bad, good = post(handler, context, ({"x": "2"}, {}), ({"x": "1"}, {}))
    assert (bad[0], bad[2]) == ((500, "Internal Server Error"), None)
    assert json.loads(bad[3])["message"] == "the network's output is not finite"
    assert good[0] == (200, "OK")


def test_a_number_that_json_does_not_have_is_an_error_of_its_row_alone(served, monkeypatch, caplog):
    handler, context = served(Scaling)
    monkeypatch.setattr(handler, "encode", lambda output, item: {"n": float("nan") if item > 1 else 0})
    bad, good = post(handler, context, ({"x": "2"}, {}), ({"x": "1"}, {}))
    assert (bad[0][0], good[0][0]) == (500, 200)
    assert json.loads(bad[3])["message"] == "the reply holds a number that is not finite"
    assert "the reply of scale can't be sent: {'model': 'scale', 'version': '2.1', 'n': nan}" in caplog.text


@pytest.mark.parametrize(("size", "status"), [(MAX_BYTES, 200), (MAX_BYTES + 1, 500)])
def test_a_reply_over_the_limit_is_an_error(served, monkeypatch, size, status):
    handler, context = served(Scaling)
    monkeypatch.setattr(handler, "encode", lambda output, item: Answer(b"x" * size, content_type="text/plain"))
    ((got, _, _, body),) = post(handler, context, ({"x": "2"}, {}))
    assert got[0] == status
    if status == 500:
        assert json.loads(body)["message"] == f"the reply of {size} bytes is over the limit of {MAX_BYTES}"


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (torch.ones(2, 3), [True, True]),
        (torch.tensor([[1.0, 2.0], [1.0, float("nan")], [float("inf"), 0.0]]), [True, False, False]),
        (torch.tensor([[[1.0], [float("inf")]], [[1.0], [-1.0]]]), [False, True]),
        (torch.tensor([float("inf"), -float("inf"), 1.0]), [False, False, True]),
        (torch.full((2, 1), 3e38), [True, True]),  # though their sum is not finite
        ([torch.ones(2), torch.tensor([1.0, float("nan")])], [True, False]),
        ([1.0, float("nan"), float("inf"), "text", None], [True, False, False, True, True]),
    ],
)
def test_every_output_of_a_row_must_be_finite(outputs, expected):
    assert finite(outputs) == expected


def test_the_card_of_an_archive_says_what_a_handler_takes_and_gives():
    assert Scaling.api() == {"request": Scaling.REQUEST, "reply": Scaling.REPLY, "explanation": None}
    assert Explaining.api()["explanation"] == {"type": "object"}
