"""Steps that build an archive: checking the card, staging its files, TorchServe's settings, archiving and signing."""

import hashlib
import json
import subprocess
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

import models
from marina.errors import PackagingError
from marina.handler_lookup import handler_class
from marina.packaging import build, freshness
from marina.packaging.build import model_config
from marina.packaging.imports.archive_contents import MANIFEST
from marina.settings import ROOT
from models.card import Serving

DATA = {"name": "housing", "kind": "embedded"}
EXAMPLE = {"file": "example.json", "content_type": "application/json", "reply": {"prediction": 1.0}}


def weights_of(folder: Path, name: str = "housing_mlp", **facts) -> tuple[dict, Path]:
    """Write every file that training may write into `folder`; return its card.json, with `facts`, and the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("model.safetensors", "codec.json", "labels.json", "progress.csv"):
        (folder / file).write_text(f"of {file}")
    (folder / "example.json").write_text('{"features": [1]}')
    card = models.find(name)
    made = {"name": name, "version": "1.0", "task": card.task, "preset": "full", "example": EXAMPLE, "data": DATA}
    made |= {"serving": asdict(card.serving), "metrics": {"rmse": 0.5, "accuracy": 1.0}, **facts}
    (folder / "card.json").write_text(json.dumps(made))
    return made, folder


def test_an_archive_contains_the_files_that_the_handler_reads_and_no_others(tmp_path):
    card, weights = weights_of(tmp_path / "weights")
    found = build.stage(card, weights, tmp_path)
    content = tmp_path / "content"
    beside = {file.name for file in content.iterdir() if file.is_file()}
    assert beside == {"model.safetensors", "codec.json", "labels.json", "example.json", "card.json"}
    assert (content / "labels.json").read_text() == "of labels.json"
    entry = Path("handlers/tabular_regression.py")
    assert entry in found
    packed = {file.relative_to(content) for file in content.rglob("*.py")}
    assert packed == set(found) - {entry}
    for file in packed:
        assert (content / file).read_bytes() == (ROOT / file).read_bytes()


def test_a_model_without_labels_is_packed_without_labels_json(tmp_path):
    card, weights = weights_of(tmp_path / "weights")
    (weights / "labels.json").unlink()
    build.stage(card, weights, tmp_path)
    assert not (tmp_path / "content" / "labels.json").exists()


def test_the_packed_card_describes_the_interface_with_examples(tmp_path):
    card, weights = weights_of(tmp_path / "weights", title="\u597d")
    build.stage(card, weights, tmp_path)
    text = (tmp_path / "content" / "card.json").read_text(encoding="utf-8")
    assert "\u597d" in text
    assert text.startswith('{\n "')
    packed = json.loads(text)
    api = handler_class("tabular_regression").api()
    assert packed.pop("api") == {
        **api,
        "request": {"application/json": {**api["request"]["application/json"], "example": {"features": [1]}}},
        "reply": {**api["reply"], "example": {"prediction": 1.0}},
    }
    assert packed == card
    assert "example" not in api["request"]["application/json"], "the handler's own description was changed"
    text = (tmp_path / "model-config.yaml").read_text()
    assert yaml.safe_load(text) == model_config(card["serving"])
    assert text.startswith("minWorkers:")


def test_an_example_that_is_not_json_is_left_out_of_the_api_description(tmp_path):
    card, weights = weights_of(tmp_path / "weights")
    card["example"] = {**EXAMPLE, "content_type": "text/plain"}
    assert "example" not in build.api_of(card, weights)["request"]["application/json"]


def test_torchserves_settings_for_a_model():
    serving = Serving(
        batch_size=5, max_batch_delay=6, workers=7, continuous_batching=True, response_timeout=8, startup_timeout=9
    )
    assert model_config(asdict(serving)) == {
        "minWorkers": 7,
        "maxWorkers": 7,
        "batchSize": 5,
        "maxBatchDelay": 6,
        "continuousBatching": True,
        "responseTimeout": 8,
        "startupTimeout": 9,
        "deviceType": "gpu",
    }
    one_a_core = model_config(asdict(Serving(workers="cores")))
    assert (one_a_core["minWorkers"], one_a_core["maxWorkers"]) == (1, 1)


def test_the_packed_card_has_the_current_serving_settings_of_the_model(tmp_path):
    card, weights = weights_of(tmp_path / "weights", serving={"batch_size": 1000})
    found = build.checked_card("housing_mlp", "1.0", weights, "full", {})
    model = models.find("housing_mlp")
    assert found == {**card, "serving": asdict(model.serving), "floor": model.floor}


def test_the_path_of_the_users_data_is_not_packed(tmp_path):
    _, weights = weights_of(tmp_path / "weights", data={"name": "mine", "kind": "real", "path": "a/b/mine"})
    found = build.checked_card("housing_mlp", "1.0", weights, "full", {})
    assert found["data"] == {"name": "mine", "kind": "real"}


def test_a_model_without_weights_is_rejected_with_the_command_that_trains_it(tmp_path):
    with pytest.raises(PackagingError) as refused:
        build.checked_card("housing_mlp", "2.0", tmp_path, "full", {})
    assert str(refused.value) == "housing_mlp 2.0 is not trained: make train MODEL=housing_mlp VERSION=2.0"


def test_a_model_of_another_preset_is_rejected_with_the_commands_that_pack_or_train_it(tmp_path):
    _, weights = weights_of(tmp_path / "weights", preset="quick")
    with pytest.raises(PackagingError) as refused:
        build.checked_card("housing_mlp", "1.0", weights, "full", {})
    assert str(refused.value) == (
        "housing_mlp 1.0 was trained with PRESET=quick: make archive MODEL=housing_mlp VERSION=1.0 PRESET=quick packs "
        "it as it is, make train MODEL=housing_mlp VERSION=1.0 PRESET=full REPLACE=1 trains it again"
    )


def test_a_model_below_its_floor_is_packed_only_with_the_quick_preset(tmp_path):
    _, weights = weights_of(tmp_path / "weights", metrics={"rmse": 99})
    with pytest.raises(PackagingError, match=r"^housing_mlp 1\.0 is below its floor: rmse is 99, its floor is 3\.2\. "):
        build.checked_card("housing_mlp", "1.0", weights, "full", {})
    _, weights = weights_of(tmp_path / "weights", metrics={"rmse": 99}, preset="quick")
    assert build.checked_card("housing_mlp", "1.0", weights, "quick", {})["metrics"] == {"rmse": 99}


@pytest.fixture
def archiver(monkeypatch):
    """Replace torch-model-archiver with a stub that writes an archive: its `calls`, and the exit `code` to return."""
    state = {"calls": [], "code": 0}

    real = subprocess.run

    def run(command, **options):
        if command[0] == "git":
            return real(command, **options)
        state["calls"].append((command, options))
        if not state["code"]:
            arguments = dict(zip(command[1::2], command[2::2], strict=True))
            file = Path(arguments["--export-path"]) / f"{arguments['--model-name']}.mar"
            with zipfile.ZipFile(file, "w") as mar:
                mar.writestr(MANIFEST, '{"createdOn": "now"}')
                for path in Path(arguments["--extra-files"]).rglob("*.json"):
                    mar.write(path, path.name)
        return subprocess.CompletedProcess(command, state["code"], "", "its reason")

    monkeypatch.setattr(build.subprocess, "run", run)
    return state


def test_the_archiver_gets_its_own_folder_for_temporary_files(tmp_path, archiver, monkeypatch):
    monkeypatch.setenv("OF_THE_USER", "kept")
    build.run_archiver({"name": "m", "version": "3.0", "task": "fill_mask"}, tmp_path, tmp_path / "made")
    ((command, options),) = archiver["calls"]
    assert Path(command[0]).name == "torch-model-archiver"
    assert command[1:] == [
        *("--model-name", "m", "--version", "3.0"),
        *("--handler", str(ROOT / "handlers" / "fill_mask.py")),
        *("--extra-files", str(tmp_path / "content"), "--config-file", str(tmp_path / "model-config.yaml")),
        *("--export-path", str(tmp_path / "made"), "--archive-format", "zip-store"),
    ]
    environment = options.pop("env")
    assert (environment["TMPDIR"], environment["OF_THE_USER"]) == (str(tmp_path / "tmp"), "kept")
    assert (tmp_path / "tmp").is_dir()
    assert options == {"capture_output": True, "text": True, "check": False}


def test_an_error_of_the_archiver_is_reported(tmp_path, archiver):
    archiver["code"] = 1
    with pytest.raises(PackagingError, match=r"^torch-model-archiver failed for m:\nits reason$"):
        build.run_archiver({"name": "m", "version": "3.0", "task": "fill_mask"}, tmp_path, tmp_path / "made")


def test_an_archive_is_signed_and_its_inputs_recorded(tmp_path, archiver):
    weights_of(tmp_path / "artifacts" / "housing_mlp" / "1.0")
    arguments = ("housing_mlp", "1.0", tmp_path / "artifacts", tmp_path / "new" / "store", tmp_path / "keys", "full")
    archive = build.build(*arguments)
    assert archive == tmp_path / "new" / "store" / "housing_mlp-1.0.mar"
    first = archive.read_bytes()
    with zipfile.ZipFile(archive) as mar:
        assert {"sbom.json", "provenance.json", "card.json"} <= set(mar.namelist())
    assert {file.name for file in archive.parent.iterdir()} == {
        *("housing_mlp-1.0.mar", "housing_mlp-1.0.mar.sig", "housing_mlp-1.0.mar.inputs.json")
    }
    recorded = json.loads(freshness.record_of(archive).read_text())
    card = tmp_path / "artifacts" / "housing_mlp" / "1.0" / "card.json"
    code = freshness.closure(Path("handlers/tabular_regression.py"), Path("models/housing_mlp.py"))
    assert recorded == {str(path): hashlib.sha256((ROOT / path).read_bytes()).hexdigest() for path in (*code, card)}
    build.build(*arguments)  # replaces the existing archive
    assert archive.read_bytes() == first
