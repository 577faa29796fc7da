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


def test_the_closure_follows_all_forms_of_import(tmp_path, monkeypatch):
    files = {
        "handlers/__init__.py": "",
        "handlers/a.py": "import handlers.text.b\nfrom handlers import c\nimport os, json\n",
        "handlers/c.py": "from models.d import D  # \u6a21\u578b\n",
        "handlers/text/__init__.py": "",
        "handlers/text/b.py": "def f():\n    from handlers.a import x\n",
        "handlers/unused.py": "",
        "models/__init__.py": "from marina import settings\n",
        "models/d.py": "from . import parts\n",
        "marina/settings.py": "import handlers.unused\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(freshness, "ROOT", tmp_path)
    expected = {name for name in files if name not in ("handlers/unused.py", "marina/settings.py")}
    assert list(map(str, freshness.closure(Path("handlers/a.py")))) == sorted(expected)
    assert freshness.closure(Path("handlers/unused.py")) == [Path("handlers/unused.py")]
