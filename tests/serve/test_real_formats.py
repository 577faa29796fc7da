"""Models of real data in public formats, with poor results: packed and served without a change of any file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import validate

import models
from marina.cli import packaging
from marina.handler_lookup import handler_class
from marina.training import run
from tests import tasks
from tests.serve.support.bundle import Bundle, bundle_in
from tests.support.voc_samples import devkit
from tests.training.test_real_formats import anki, apple2orange, cifar10, ucf101

pytestmark = pytest.mark.serve
FORMATS = {"nin": cifar10, "ssd": devkit, "c3d": ucf101, "cyclegan": apple2orange, "seq2seq": anki}
CLOSE = 2e-3  # sums over a batch of another size differ in their last bits, and bf16 has few


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Iterator[Bundle]:
    """All five, trained for a few steps and packed as if in full: floors would be checked, had the data any."""
    folder = tmp_path_factory.mktemp("formats")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, write in FORMATS.items():
            card = run.train(name, data=str(write(folder)), preset="quick") / "card.json"
            facts = json.loads(card.read_text())
            card.write_text(json.dumps({**facts, "preset": "full", "recipe": vars(models.find(name).recipe)}))
            packaging.pack(name, store=Path("archive/store"), keys=Path("var/keys"))
    with bundle_in(folder, folder / "archive" / "store") as started:
        started.do("serve")
        yield started


@pytest.mark.parametrize("name", FORMATS)
def test_the_example_of_the_users_data_gets_the_response_that_the_card_has(bundle, name):
    weights = bundle.settings.var.parent / "artifacts" / name / "1.0"
    card = json.loads((weights / "card.json").read_text())
    assert models.find(name).below_floor(card["metrics"]), "this test needs results below the CARD's floor"
    example = card["example"]
    response = bundle.http.post(
        f"/predictions/{name}",
        content=(weights / example["file"]).read_bytes(),
        headers={"content-type": example["content_type"]},
    )
    assert response.status_code == 200, response.text
    validate(response.json(), handler_class(card["task"]).response_schema)
    numbers = tasks.find(card["task"]).numbers
    assert numbers(response.json()) == pytest.approx(numbers(example["reply"]), abs=CLOSE)
