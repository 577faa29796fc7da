"""Records of inputs by content: what makes a target stale, and what does not."""

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from marina.packaging import freshness


@pytest.fixture
def made(tmp_path):
    """A target that was made from a file inside of the root and one outside."""
    root = tmp_path / "root"
    (root / "handlers").mkdir(parents=True)
    (root / "handlers" / "a.py").write_text("a")
    (tmp_path / "outside.py").write_text("b")
    target = root / "made.mar"
    target.write_text("made")
    freshness.record(target, [Path("handlers/a.py"), tmp_path / "outside.py"], root)
    return target


def test_the_record_has_relative_paths_within_the_root(made, tmp_path):
    text = freshness.record_of(made).read_text()
    assert freshness.record_of(made) == made.with_name("made.mar.inputs.json")
    digests = {"handlers/a.py": sha256(b"a").hexdigest(), str(tmp_path / "outside.py"): sha256(b"b").hexdigest()}
    assert json.loads(text) == digests
    assert text.startswith('{\n "handlers/a.py": ')
    assert text.endswith("}\n")


def test_an_absolute_path_within_the_root_is_recorded_relative_to_it(made):
    root = made.parent
    freshness.record(made, [root / "handlers" / "a.py"], root)
    assert list(json.loads(freshness.record_of(made).read_text())) == ["handlers/a.py"]
    assert freshness.is_up_to_date(made, root)


def test_time_does_not_make_a_target_stale_but_content_does(made, tmp_path):
    root, inside = made.parent, made.parent / "handlers" / "a.py"
    os.utime(inside, (2e9, 2e9))
    assert freshness.is_up_to_date(made, root)
    for changed in (inside, tmp_path / "outside.py"):
        before = changed.read_text()
        changed.write_text("other")
        assert not freshness.is_up_to_date(made, root)
        changed.unlink()
        assert not freshness.is_up_to_date(made, root)
        changed.write_text(before)
        assert freshness.is_up_to_date(made, root)


def test_a_target_or_a_record_that_is_missing_is_stale(made):
    root = made.parent
    made.rename(root / "moved")
    assert not freshness.is_up_to_date(made, root)
    (root / "moved").rename(made)
    freshness.record_of(made).unlink()
    assert not freshness.is_up_to_date(made, root)


def test_a_file_that_is_not_there_has_an_empty_digest(tmp_path):
    assert freshness.digest(tmp_path) == freshness.digest(tmp_path / "none") == ""


def test_the_closure_follows_every_form_of_import(tmp_path, monkeypatch):
    files = {
        "models/__init__.py": "",
        "models/a.py": (
            "import os, models.b\nfrom models import c\ndef late():\n    from models.parts.d import x\nfrom . import e"
        ),
        "models/b.py": "import handlers.one as one\nimport json",
        "models/c.py": "import models.a",
        "models/parts/__init__.py": "",
        "models/parts/d.py": "'\u597d'",
        "handlers/__init__.py": "",
        "handlers/one.py": "import marina.training.run",
        "marina/training/run.py": "",
    }
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    monkeypatch.setattr(freshness, "ROOT", tmp_path)
    found = freshness.closure(Path("models/a.py"))
    assert [str(file) for file in found] == [
        "handlers/__init__.py", "handlers/one.py", "models/__init__.py", "models/a.py", "models/b.py", "models/c.py",
        "models/parts/__init__.py", "models/parts/d.py",
    ]  # fmt: skip


def test_a_file_without_imports_of_ours_is_its_own_closure(tmp_path, monkeypatch):
    monkeypatch.setattr(freshness, "ROOT", tmp_path)
    (tmp_path / "alone.py").write_text("import json\n")
    assert freshness.closure(Path("alone.py")) == [Path("alone.py")]
