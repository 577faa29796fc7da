"""Files of `marina new` as written, and as docs/guides/add-your-task.md fills them in: lint, tests, floor."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from marina.settings import ROOT
from tests.support.checkout import copied, copied_with_tests, marina, python

GUIDE = "docs/guides/add-your-task.md"
FILE = re.compile(r"`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOOLS = Path(sys.executable).parent
TESTS = (
    "tests/training/tasks",
    "tests/models",
    "tests/handlers/test_all_tasks.py",
    "tests/training/data/test_provenance.py",
)


def new(checkout: Path, *arguments: str) -> None:
    done = marina(checkout, "new", *arguments)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """A checkout with a new task and a new model of each template."""
    checkout = copied_with_tests(tmp_path_factory.mktemp("fresh"))
    new(checkout, "task", "gestures")
    for name, task in (("new_image", "image_classification"), ("new_table", "tabular_regression")):
        new(checkout, "model", name, "--task", task)
    new(checkout, "model", "new_text", "--task", "text_classification")
    return checkout


@pytest.fixture(scope="module")
def guided(tmp_path_factory) -> Path:
    """A checkout with the files of the guide."""
    checkout = copied_with_tests(tmp_path_factory.mktemp("guided"))
    new(checkout, "task", "audio_classification")
    for path, content in FILE.findall((ROOT / GUIDE).read_text(encoding="utf-8")):
        assert (checkout / path).is_file(), f"{path} is not written by `marina new`"
        (checkout / path).write_text(content, encoding="utf-8")
    return checkout


def lint(checkout: Path, *command: str) -> None:
    done = subprocess.run([TOOLS / command[0], *command[1:]], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["fresh", "guided"])
def test_the_files_pass_lint(name, request):
    checkout = request.getfixturevalue(name)
    lint(checkout, "ruff", "check", "--no-cache", "--extend-exclude", "tests/benchmarks", ".")  # not in the copy
    lint(checkout, "ruff", "format", "--check", "--no-cache", ".")
    lint(checkout, "lint-imports", "--no-cache")
    lint(checkout, "jscpd")


def test_the_files_pass_strict_mypy(fresh, guided, tmp_path):
    """Both in one checkout, because most of the time goes into the libraries."""
    both = copied(tmp_path)
    listed = []
    for checkout in (fresh, guided):
        for file in checkout.glob("[hm]*/**/*.py"):
            path = file.relative_to(checkout)
            if not (both / path).exists():
                shutil.copy(file, both / path)
                listed.append(str(path))
    assert len(listed) == 6 + 3 + 6
    lint(both, "mypy", *listed)


@pytest.mark.parametrize(("name", "tests"), [("fresh", "gestures or new_"), ("guided", "audio_classification")])
def test_the_files_pass_their_tests_and_those_of_all_models(name, tests, request):
    checkout = request.getfixturevalue(name)
    options = ("-q", "-p", "no:cacheprovider", "-m", "not serve and not gpu")
    done = python(checkout, "-m", "pytest", *options, "-k", tests, *TESTS)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert re.search(r"\d\d+ passed", done.stdout), done.stdout


def test_the_network_of_the_guide_reaches_its_floor_and_is_packed(guided):
    done = marina(guided, "archive", "audio_classification_net")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (guided / "archive" / "store" / "audio_classification_net-1.0.mar.sig").is_file()
