"""Names that `marina new` refuses, and files that are written all or none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marina.cli.main import app
from marina.errors import ScaffoldError
from marina.scaffold import write as scaffold
from marina.scaffold.names import MAX_LENGTH
from tests.lint.wording import problems
from tests.support.checkout import copied_with_tests

LONG = ("words_" * MAX_LENGTH)[: MAX_LENGTH - 1] + "x"
REFUSED = {
    "Audio": "lower-case words",
    "my-task": "lower-case words",
    "_task": "lower-case words",
    "2d": "lower-case words",
    "": "lower-case words",
    "../task": "lower-case words",
    "音": "lower-case words",
    LONG + "x": f"at most {MAX_LENGTH}",
    "lambda": "keyword",
    "match": "keyword",
    "random": "Python has a module",
    "torch": "Python has a module",
    "reviews": "a data set has it",
    "coco_digits": "a data set has it",
    "tensor": "called Tensor",
    "exception": "called Exception",
}


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The folders of a checkout, without files."""
    for path in [*scaffold.TASK_FILES.values(), scaffold.MODEL_TEST]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    return tmp_path


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.py"))


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_cannot_be_a_tasks_is_refused_with_the_reason(name):
    with pytest.raises(ScaffoldError, match=REFUSED[name]) as refused:
        scaffold.task_files(name, "my_net")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["Net", "class", "linear-net"])
def test_a_name_that_cannot_be_a_models_is_refused(name):
    with pytest.raises(ScaffoldError, match="can't be a model's name"):
        scaffold.model_files(name, "image_classification")


def test_what_exists_is_named_and_stays_and_nothing_else_is_written(checkout):
    (checkout / "models" / "my_net.py").write_text("mine")
    (checkout / "handlers" / "gestures").mkdir()  # a package: gestures.py would hide it
    with pytest.raises(ScaffoldError, match=r"^handlers/gestures\.py, models/my_net\.py: exists"):
        scaffold.write(scaffold.task_files("gestures", "my_net"), checkout)
    assert files_in(checkout) == ["models/my_net.py"]
    assert (checkout / "models" / "my_net.py").read_text() == "mine"


@pytest.mark.parametrize("task", scaffold.MODEL_TASKS)
def test_existing_models_and_tasks_stay(task):
    with pytest.raises(ScaffoldError, match=r"models/lenet\.py: exists"):
        scaffold.write(scaffold.model_files("lenet", task))
    with pytest.raises(ScaffoldError, match=r"marina/training/tasks/text_classification\.py"):
        scaffold.write(scaffold.task_files("text_classification", "my_net"))


def test_a_failure_in_the_middle_leaves_nothing(checkout):
    shutil.rmtree(checkout / "tests" / "training")
    with pytest.raises(ScaffoldError, match=r"test_gestures\.py: No such file or directory; nothing was written"):
        scaffold.write(scaffold.task_files("gestures", "my_net"), checkout)
    assert files_in(checkout) == []


def test_without_a_checkout_the_error_names_the_way_out(tmp_path):
    with pytest.raises(ScaffoldError, match=r"is no checkout .*clone the repository"):
        scaffold.write(scaffold.model_files("my_net", "image_classification"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_task_without_a_template_is_refused_with_a_model_to_copy():
    with pytest.raises(ScaffoldError, match=r"copy models/faster_rcnn\.py to models/<name>\.py"):
        scaffold.model_files("my_net", "object_detection")
    with pytest.raises(ScaffoldError, match=r"no task 'no_such'; .*image_classification.*marina new task"):
        scaffold.model_files("my_net", "no_such")


@pytest.mark.parametrize("name", ["a", LONG])
def test_files_are_formatted_and_worded_whatever_the_length_of_the_name(tmp_path, name):
    copied_with_tests(tmp_path)
    written = {**scaffold.task_files(name, name)}
    for task in scaffold.MODEL_TASKS:
        written |= scaffold.model_files(f"{task[:2]}{name[2:]}", task)
    assert len(written) == len(scaffold.TASK_FILES) + 2 * len(scaffold.MODEL_TASKS)
    scaffold.write(written, tmp_path)
    for verb in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *verb, "--no-cache", *map(str, written)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert [line for file in written for line in problems(tmp_path / file)] == []


def test_the_command_prints_what_it_wrote_and_what_comes_next(checkout, monkeypatch):
    monkeypatch.setattr(scaffold.write, "__defaults__", (checkout,))
    done = CliRunner().invoke(app, ["new", "model", "my_net", "--task", "image_classification"])
    assert done.exit_code == 0, done.output
    assert "wrote models/my_net.py" in done.output
    assert "marina archive my_net" in done.output
    assert files_in(checkout) == ["models/my_net.py", "tests/models/test_my_net.py"]
    done = CliRunner().invoke(app, ["new", "task", "gestures"])
    assert "wrote models/gestures_net.py" in done.output
    assert (checkout / "marina" / "training" / "tasks" / "gestures.py").is_file()
