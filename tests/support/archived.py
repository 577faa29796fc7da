"""Responses of a model's archive after a few steps of training, as the tests of new models check them."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate

from marina.hosting.host import Host, HostedRequest
from marina.packaging.build import build
from marina.packaging.sign import PUBLIC
from marina.training import run


def archived(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train with the quick preset, pack and open the archive, in `folder`; send the card's example.

    Returns the prediction and the explanation, both of which follow the handler's schemas.
    """
    monkeypatch.chdir(folder)
    run.train(name, preset="quick")
    archive = build(name, "1.0", folder / "artifacts", folder / "store", folder / "keys", "quick")
    with Host.of_archive(archive, folder / "keys" / PUBLIC) as host:
        example = host.card["example"]
        body = (host.folder / example["file"]).read_bytes()
        requests = [HostedRequest.of_body(body, example["content_type"], explain=explain) for explain in (False, True)]
        prediction, explanation = (host.batch([request])[0] for request in requests)
        assert (prediction.status, explanation.status) == (200, 200), (prediction.body, explanation.body)
        validate(prediction.json, host.handler.response_schema)
        validate(explanation.json, host.handler.explanation_schema)
    return prediction.json, explanation.json
