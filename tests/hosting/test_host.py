"""Archives and artifacts in this process: batches, streams, what is refused, and no TorchServe."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from marina import handler_lookup
from marina.errors import CodeConflictError
from marina.handler_lookup import handler_class
from marina.hosting.host import Host, HostedRequest
from marina.hosting.loading import archived_handler, unpack
from marina.packaging.build import build
from marina.packaging.sign import PUBLIC
from marina.packaging.verify import NotVerifiedError
from tests import tasks
from tests.serve.support.counting_handler import Counting
from tests.support.worker import untrained

ROOT = Path(__file__).parents[2]
GOOD = tasks.find("tabular_regression").GOOD["list"].fields["body"]
CARD = {"name": "counting", "version": "1.0", "serving": {"batch_size": 2, "threads": 1}}

# Opens an archive where neither TorchServe nor the checkout (an editable install) can be imported.
ALONE = """
import importlib.abc, json, sys
from pathlib import Path

archive, key, body, checkout = sys.argv[1:]
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(checkout)]

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "ts" or name.startswith("ts."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
from marina.hosting.host import Host, HostedRequest
with Host.of_archive(Path(archive), Path(key)) as host:
    (response,) = host.respond([HostedRequest.of_body(body.encode(), "application/json")])
    host.handler.metrics.report()
import handlers, models
print(json.dumps({
    "status": response.status,
    "response": response.json,
    "code": [handlers.__file__, models.__file__],
    "folder": str(host.folder),
    "metrics": sorted({each.name for each in host.context.metrics.read()}),
    "torchserve": sorted(name for name in sys.modules if name.partition(".")[0] == "ts"),
}))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> tuple[Path, Path]:
    """(archive, public key) of housing_mlp with random weights."""
    root = tmp_path_factory.mktemp("hosting")
    folder = untrained("housing_mlp", root / "artifacts" / "housing_mlp" / "1.0")
    (folder / "example.json").write_text(json.dumps(GOOD))
    made = build("housing_mlp", "1.0", root / "artifacts", root / "store", root / "keys", "quick")
    return made, root / "keys" / PUBLIC


@pytest.fixture
def counting(tmp_path) -> Host:
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    with Host(tmp_path, Counting) as host:
        yield host


def counted(to: int, **options) -> HostedRequest:
    return HostedRequest.of_body(json.dumps({"to": to, **options}).encode(), "application/json")


def test_an_archive_runs_by_its_own_code_without_torchserve(archive, tmp_path):
    made, key = archive
    (tmp_path / "marina").symlink_to(ROOT / "marina")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(made), str(key), json.dumps(GOOD), str(ROOT)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["status"], found["response"]["model"]) == (200, "housing_mlp")
    assert all(file.startswith(found["folder"]) for file in found["code"])
    assert "marina_answers_total" in found["metrics"]
    assert found["torchserve"] == []
    assert not Path(found["folder"]).exists()


def test_an_archive_and_its_artifacts_give_the_same_response(archive):
    made, key = archive
    request = HostedRequest.of_body(json.dumps(GOOD).encode(), "application/json")
    with Host.of_archive(made, key) as packed, Host.of_artifacts(made.parents[1] / "artifacts/housing_mlp/1.0") as host:
        assert packed.respond([request]) == host.respond([request])
        assert packed.context.manifest["model"]["handler"] == "tabular_regression.py"
        unpacked = packed.folder
    assert not unpacked.exists()


def test_a_changed_archive_is_not_opened(archive, tmp_path, monkeypatch):
    made, key = archive
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    changed = tmp_path / made.name
    changed.write_bytes(made.read_bytes() + b"x")
    changed.with_name(f"{made.name}.sig").write_bytes(made.with_name(f"{made.name}.sig").read_bytes())
    with pytest.raises(NotVerifiedError, match=made.name):
        Host.of_archive(changed, key)
    assert not list(tmp_path.glob("marina-*"))


def test_other_code_than_the_process_has_imported_is_refused(archive, tmp_path):
    manifest = unpack(*archive, tmp_path)
    assert archived_handler(tmp_path, manifest).__name__ == handler_class("tabular_regression").__name__
    assert str(tmp_path) not in sys.path
    (tmp_path / "handlers" / "base.py").write_text("")
    with pytest.raises(CodeConflictError, match=r"handlers/base\.py.*process of its own"):
        archived_handler(tmp_path, manifest)
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("source", "classes"), [("class A: pass\ndef b(): pass", 1), ("class A: pass\nclass B: pass", 2)]
)
def test_a_handlers_module_has_one_class(monkeypatch, source, classes):
    """As TorchServe has it; functions beside the class are allowed."""
    module = ModuleType("handlers.made")
    exec(source, vars(module))
    monkeypatch.setattr(handler_lookup, "import_module", lambda name: module)
    if classes == 1:
        assert handler_class("made").__name__ == "A"
    else:
        with pytest.raises(ValueError, match="too many values"):
            handler_class("made")


def test_responses_come_in_order_in_batches_of_the_cards_size(counting, monkeypatch):
    sizes = []
    handle = counting.handler.handle
    monkeypatch.setattr(
        counting.handler, "handle", lambda data, context: sizes.append(len(data)) or handle(data, context)
    )
    responses = counting.respond([counted(1), counted(0), counted(3), counted(4), counted(2)])
    assert sizes == [2, 2, 1]
    assert [response.status for response in responses] == [200, 400, 200, 200, 200]
    assert [response.json.get("count") for response in responses] == [1, None, 3, 4, 2]
    assert responses[0].content_type == "application/json"


def test_a_stream_comes_in_parts(counting):
    *received, last = counting.stream(counted(3, stream=True))
    lines = [json.loads(line) for part in (*received, last) for line in part.body.splitlines()]
    assert [line.get("step") for line in lines] == [1, 2, 3, None]
    assert lines[-1] == {"model": "counting", "version": "1.0", "count": 3}
    assert [part.status for part in counting.stream(counted(0, stream=True))] == [400]
    assert [part.body for part in counting.stream(counted(2))][:-1] == [b""]
    assert counting.respond([counted(2)])[0].json["count"] == 2


def test_an_abandoned_stream_does_not_disturb_the_next_one(counting):
    next(counting.stream(counted(100, stream=True)))
    assert json.loads(list(counting.stream(counted(1)))[-1].body)["count"] == 1
    assert not counting.handler._running


def test_options_and_the_wish_for_an_explanation_reach_the_handler():
    request = HostedRequest.of_body(b"\x89PNG", "image/png", {"top": "3"}, explain=True)
    assert request.fields == {"top": "3", "body": b"\x89PNG"}
    assert request.headers == {"content-type": "image/png", "explain": "True"}


def test_torchs_threads_are_restored(tmp_path):
    folder = untrained("housing_mlp", tmp_path / "m")
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        with Host.of_artifacts(folder):
            assert torch.get_num_threads() == json.loads((folder / "card.json").read_text())["serving"]["threads"]
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
