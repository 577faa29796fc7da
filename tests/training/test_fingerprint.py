"""Fingerprints change with all that the weights depend on, and with nothing else."""

import ast
import json
import shutil
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import models
from marina.errors import WeightsExistError
from marina.training import fingerprint as fingerprints
from marina.training import run
from marina.training.fingerprint import LATER, fingerprint, network_source, settings
from tests.training.kit import card_in


def test_the_fingerprint_changes_with_all_that_the_weights_depend_on():
    card = models.find("text_lstm")
    facts = (card, card.recipe, "data", "full")
    assert fingerprint(*facts) == fingerprint(*facts)
    others = {
        fingerprint(*facts),
        fingerprint(card, replace(card.recipe, seed=1), "data", "full"),
        fingerprint(card, card.recipe, "other", "full"),
        fingerprint(card, card.recipe, "data", "quick"),
        fingerprint(card, replace(card.recipe, precision="bf16"), "data", "full"),
        fingerprint(card, replace(card.recipe, teacher=0.5), "data", "full"),
        fingerprint(replace(card, input={"max_words": 3}), card.recipe, "data", "full"),
        fingerprint(replace(card, network=models.find("text_cnn").network), card.recipe, "data", "full"),
    }
    assert len(others) == 8
    assert fingerprint(replace(card, floor={}, anchor=""), card.recipe, "data", "full") == fingerprint(*facts)


def test_a_member_that_came_later_counts_once_it_is_used():
    """Models trained before recipes had a precision are up to date as long as it is fp32."""
    recipe = models.find("lenet").recipe
    assert recipe.precision == "fp32"
    assert settings(recipe) == {name: value for name, value in asdict(recipe).items() if name not in LATER}
    assert settings(replace(recipe, precision="bf16")) == settings(recipe) | {"precision": "bf16"}


def test_the_members_of_today_leave_the_fingerprints_of_every_card_alone():
    """Models trained before recipes had these are not trained again, as long as no CARD uses them."""
    added = {"gamma", "schedule_epochs", "clip_norm", "checkpoint"}
    recipes = {name: models.find(name).recipe for name in models.names()}
    unused = {name: recipe for name, recipe in recipes.items() if recipe and recipe.schedule not in ("step", "plateau")}
    assert unused
    assert not [name for name, recipe in unused.items() if recipe.clip_norm is None and added & settings(recipe).keys()]


def test_the_networks_source_holds_what_it_imports_and_not_the_card():
    source = {name: json.dumps(tree) for name, tree in network_source("models.text_lstm").items()}
    assert set(source) == {"models.text_lstm", "models.parts.text"}
    assert "CARD" not in source["models.text_lstm"]
    assert "reverse_words" in source["models.parts.text"]


SOURCE = '''"""Of a module."""
class A:
    """Of a class."""
    def f(self, x=(1, 2.5), *y: "int", z=b"b", **more) -> None:
        """Of a function."""
        return f"{x!r:>{y}} text" if x else [*y, lambda: ...]
    async def g(self):
        """Nothing but this."""
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Of a class.", "Other words.", True),
        ('    """Of a class."""\n', "", True),
        ('        """Of a function."""\n', "        # a comment\n\n", True),
        ('"""Nothing but this."""', "pass", False),
        ("2.5", "2.25", False),
        ("text", "TEXT", False),
        ('        """Of a function."""\n', '        """Of a function."""\n        "not a docstring"\n', False),
        ("!r", "!s", False),
        ("*y:", "*w:", False),
        ('b"b"', '"b"', False),
        ("async def", "def", False),
    ],
)
def test_docstrings_and_comments_are_no_part_of_the_source(old, new, same):
    assert old in SOURCE
    changed = SOURCE.replace(old, new, 1)
    assert (fingerprints.syntax(ast.parse(changed)) == fingerprints.syntax(ast.parse(SOURCE))) == same


def test_the_source_is_the_same_on_every_version_of_python():
    """Literally: versions from 3.11 on gave these."""
    tree = json.dumps(fingerprints.syntax(ast.parse(SOURCE)))
    assert sha256(tree.encode()).hexdigest() == "cc6ec090fe2f6bc5111d59c0b075bf81340dd75837b9b5161bb3d814800a695b"


def old_fingerprint(card, recipe, data_sha256: str, preset: str) -> str:
    """The first formula."""
    sources, waiting = {}, [card.network.__module__]
    while waiting:
        name = waiting.pop()
        file = fingerprints.ROOT.joinpath(*name.split(".")).with_suffix(".py")
        if name in sources or name in fingerprints.NOT_NETWORK or not file.is_file():
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        tree.body = [node for node in tree.body if not fingerprints._is_card(node)]
        sources[name] = ast.unparse(tree)
        waiting += fingerprints._imports(tree)
    facts = {"recipe": settings(recipe), "data": data_sha256, "preset": preset, "input": dict(card.input)}
    facts |= {"task": card.task, "source": sources}
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with data/mnist and the artifacts of digits_cnn, made once."""
    root = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run.train("digits_cnn", preset="quick")
    return root


@pytest.fixture
def old(trained, elsewhere, monkeypatch):
    """Artifacts of digits_cnn by the first formula: (folder, a function that changes members of their card.json)."""
    shutil.copytree(trained, elsewhere, dirs_exist_ok=True)
    model = models.find("digits_cnn")
    folder = Path("artifacts/digits_cnn/1.0")
    recipe = replace(model.recipe, epochs=1, patience=None)
    monkeypatch.setattr("marina.training.trainer.fit", lambda *_: pytest.fail("it trains again"))

    def change(**members) -> None:
        facts = card_in(folder)
        facts["fingerprint"] = old_fingerprint(model, recipe, facts["data"]["sha256"], "quick")
        (folder / "card.json").write_text(json.dumps(facts | members))

    change()
    return folder, change


def test_artifacts_of_the_first_formula_are_up_to_date_and_get_the_new_fingerprint(old, capsys):
    folder, change = old
    recipe = card_in(folder)["recipe"]
    change(recipe={name: value for name, value in recipe.items() if name not in LATER})  # as old cards are
    weights = (folder / "model.safetensors").read_bytes()
    assert run.train("digits_cnn", preset="quick") == folder
    assert "up to date" in capsys.readouterr().out
    now = card_in(folder)["fingerprint"]
    assert now.startswith(fingerprints.FORMULA)
    assert (folder / "model.safetensors").read_bytes() == weights
    change(fingerprint=now, preset="full")  # from now on only the fingerprint counts
    run.train("digits_cnn", preset="quick")
    assert card_in(folder)["fingerprint"] == now


@pytest.mark.parametrize(
    "members",
    [
        {"recipe": {"epochs": 1, "batch_size": 64, "lr": 0.5}},
        {"recipe": "one member more"},
        {"data": {"name": "mnist", "sha256": "other"}},
        {"preset": "full"},
        {"input": {"size": 32}},
        {"task": "video_classification"},
        {"self_training": {"labels": 10, "unlabelled": 246}},
        {"network": {"num_classes": 11}},
        {"network": {"unknown": 1}},
        {"fingerprint": "2:0"},
    ],
    ids=str,
)
def test_artifacts_of_the_first_formula_that_differ_are_trained_again(old, members):
    folder, change = old
    wanted = {"data": "mnist", "preset": "quick", "labels": 1.0, "replace": True}
    if members == {"recipe": "one member more"}:
        members = {"recipe": card_in(folder)["recipe"] | {"dropout": 0.5}}
    change(**members)
    with pytest.raises(WeightsExistError, match=r"digits_cnn 1\.0 exists, and was made differently: \w"):
        run.train("digits_cnn", **wanted | {"replace": False})
    with pytest.raises(pytest.fail.Exception, match="trains again"):
        run.train("digits_cnn", **wanted)


@pytest.mark.parametrize("how", ["another name", "another shape", "missing"])
def test_weights_that_do_not_load_are_trained_again(old, how):
    folder, _ = old
    file = folder / "model.safetensors"
    weights = load_file(file)
    name = max(weights, key=lambda name: weights[name].dim())
    value = weights.pop(name)
    file.unlink()
    if how != "missing":
        save_file(weights | ({"x": value} if how == "another name" else {name: value[..., :1].clone()}), file)
    with pytest.raises(pytest.fail.Exception, match="trains again"):
        run.train("digits_cnn", preset="quick", replace=True)


@pytest.mark.parametrize(("share", "same"), [(0.1, True), (0.2, False), (1.0, False)])
def test_a_share_of_labels_is_compared_by_the_recorded_numbers(share, same):
    assert fingerprints.same_share({"labels": 410, "unlabelled": 3686}, share) == same
