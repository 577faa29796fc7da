"""Files of `marina new` as written, and as docs/guides/add-your-task.md fills them in: lint, tests, floor."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from marina.settings import ROOT
from tests.support.checkout import copied_with_tests, marina, python

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


@pytest.fixture(scope="module")
def both(fresh, guided, tmp_path_factory) -> Path:
    """A checkout with the new files of the other two, for tools that take long to start or to read the libraries."""
    checkout = tmp_path_factory.mktemp("both") / "checkout"
    shutil.copytree(fresh, checkout)
    shutil.copytree(guided, checkout, dirs_exist_ok=True)
    return checkout


def new_files(checkout: Path) -> list[str]:
    """Return the files of Python that `marina new` wrote, in the packages of tasks and models."""
    paths = (file.relative_to(checkout) for file in sorted(checkout.glob("[hm]*/**/*.py")))
    return [str(path) for path in paths if not (ROOT / path).exists()]


def lint(checkout: Path, *command: str) -> None:
    done = subprocess.run([TOOLS / command[0], *command[1:]], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["fresh", "guided"])
def test_the_files_pass_lint(name, request):
    checkout = request.getfixturevalue(name)
    lint(checkout, "ruff", "check", "--no-cache", "--extend-exclude", "tests/benchmarks", ".")  # not in the copy
    lint(checkout, "ruff", "format", "--check", "--no-cache", ".")
    lint(checkout, "jscpd")  # not on both: one is copied from the template of the other


def test_the_files_keep_to_the_layers_of_imports(both):
    lint(both, "lint-imports", "--no-cache")


def test_the_files_pass_strict_mypy(both):
    listed = new_files(both)
    assert len(listed) == 6 + 3 + 6
    lint(both, "mypy", *listed)


def test_the_files_pass_their_tests_and_those_of_all_models(both):
    options = ("-q", "-p", "no:cacheprovider", "-m", "not serve and not gpu")
    done = python(both, "-m", "pytest", *options, "-k", "gestures or new_ or audio_classification", "-rA", *TESTS)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    for name in ("gestures", "new_image", "new_table", "new_text", "audio_classification"):
        assert len(re.findall(rf"^PASSED .*{name}", done.stdout, re.MULTILINE)) >= 10, done.stdout[-5000:]
