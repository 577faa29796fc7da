"""Real data in public formats, with poor results, are packed without a change of any file."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import models
from marina.cli import packaging
from marina.errors import PackagingError
from marina.packaging import build
from marina.training import run
from tests.support.video_samples import clip
from tests.support.voc_samples import devkit


def cifar10(folder: Path) -> Path:
    batches = folder / "cifar" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3072), np.uint8)
    batch = pickle.dumps({b"data": pixels, b"labels": [0, 1] * 4}, protocol=2)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        (batches / name).write_bytes(batch)
    (batches / "batches.meta").write_bytes(pickle.dumps({b"label_names": [b"airplane", b"cat"]}, protocol=2))
    return batches.parent


def ucf101(folder: Path) -> Path:
    for label in ("Archery", "YoYo"):
        (folder / "UCF-101" / label).mkdir(parents=True)
        for group in range(1, 11):
            (folder / "UCF-101" / label / f"v_{label}_g{group:02}_c01.avi").write_bytes(clip(group + 6))
    return folder / "UCF-101"


def apple2orange(folder: Path) -> Path:
    """Files have numbers as names, not classes: nothing can be kept."""
    for split, count in (("trainA", 12), ("trainB", 12), ("testA", 3), ("testB", 3)):
        (folder / "apple2orange" / split).mkdir(parents=True)
        for number in range(count):
            shade = 9 * number + 100 * split.endswith("B")
            Image.new("RGB", (32, 32), (shade, 10, shade)).save(folder / "apple2orange" / split / f"n{number}.jpg")
    return folder / "apple2orange"


def anki(folder: Path) -> Path:
    (folder / "anki").mkdir()
    words = ["see", "hear", "like", "want", "miss"]
    lines = [f"I {words[n % 5]} {n} dogs.\t我{n}只狗{n % 7}。\tCC-BY" for n in range(120)]
    (folder / "anki" / "cmn.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder / "anki"


@pytest.mark.parametrize(
    ("name", "write"),
    [("nin", cifar10), ("ssd", devkit), ("c3d", ucf101), ("cyclegan", apple2orange), ("seq2seq", anki)],
    ids=["CIFAR-10", "VOC", "UCF-101", "apple2orange", "anki"],
)
def test_poor_results_on_real_data_are_packed(elsewhere, monkeypatch, capsys, name, write):
    """As if trained in full: only the preset of the card is changed, since full training takes minutes."""
    model = models.find(name)
    folder = run.train(name, data=str(write(elsewhere)), preset="quick")
    facts = json.loads((folder / "card.json").read_text())
    assert model.below_floor(facts["metrics"]), "this test needs results below the CARD's floor"
    (folder / "card.json").write_text(json.dumps({**facts, "preset": "full", "recipe": vars(model.recipe)}))
    packed = []
    monkeypatch.setattr(build, "run_archiver", lambda card, _, made: (made.mkdir(), archived(card, made)))
    monkeypatch.setattr(build, "stage", lambda card, *_: packed.append(card) or [])
    monkeypatch.setattr(build.records, "write", lambda *_: None)  # of files that `stage` would lay out
    monkeypatch.setattr(build.reproducible, "rewrite", lambda source, target, _: source.rename(target))
    capsys.readouterr()
    packaging.pack(name)
    assert packed[0]["floor"] == {}
    assert "path" not in packed[0]["data"]
    assert f"on {facts['data']['name']}; published: {model.anchor}" in capsys.readouterr().out
    with pytest.raises(PackagingError, match="has no metric loss_of_nothing; it has: "):
        packaging.pack(name, floor=["loss_of_nothing=1"])


def archived(card: dict, made: Path) -> None:
    (made / f"{card['name']}.mar").write_bytes(b"an archive")
