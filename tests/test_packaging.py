"""The wheel: its contents, its entry point, and `marina serve` of an archive where there is no checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from marina.settings import ROOT, Settings
from tests.serve.support.bundle import dummy, free_ports

EDITABLE = ["config.properties", "experiments.yaml"]


def run(*command: object, **options: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (file,) = folder.glob("marina-*.whl")
    return file


@pytest.fixture(scope="module")
def marina(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment that has the wheel and sees this one's packages, but not the checkout.

    A .pth file adds the folder of those packages, whose own .pth files (the editable install) are not followed.
    MARINA_TEST_COMMAND names the command of another environment: `make test-pythons` sets it.
    """
    if given := os.environ.get("MARINA_TEST_COMMAND"):
        return Path(given).absolute()
    home = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home)
    (site,) = home.glob("lib/python*/site-packages")
    site.joinpath("others.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install", "-q"]
    run(*pip, "--no-deps", "--no-index", "--ignore-installed", wheel)
    return home / "bin" / "marina"


def tracked(*folders: str) -> set[str]:
    return {file for file in run("git", "ls-files", *folders, cwd=ROOT).splitlines() if (ROOT / file).is_file()}


def outside(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has no checkout: free ports, and no variable of this test run."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MARINA_", "PYTHON"))}
    names = list(Settings(var=tmp_path).ports)
    return environment | {
        f"MARINA_{name.upper()}": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)
    }


def test_a_rebuilt_wheel_is_the_same_bytes(wheel: Path, tmp_path: Path):
    """From other files of the same content, with other times."""
    copy = tmp_path / "copy"
    for name in tracked("marina", "handlers", "models", *EDITABLE, "pyproject.toml", "LICENSE", "README.md"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, copy)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_every_tracked_file_of_the_packages_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == tracked("marina", "handlers", "models") | {f"marina/defaults/{name}" for name in EDITABLE}


def test_exact_requirements_are_what_the_locks_pin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locks = "\n".join(file.read_text() for file in sorted((ROOT / "requirements").glob("*.lock")))
    exact = [item for items in project["optional-dependencies"].values() for item in items if "==" in item]
    assert exact
    assert [pin for pin in exact if f"\n{pin.lower()} " not in f"\n{locks}"] == []


def test_every_locked_file_has_a_hash():
    files = list((ROOT / "requirements").glob("*.lock"))
    assert len(files) >= 5
    for file in files:
        pins = [line for line in file.read_text().splitlines() if line and not line.startswith(("#", " "))]
        assert pins
        assert [pin for pin in pins if not pin.endswith("\\")] == [], file.name


def test_the_command_line_imports_nothing_that_takes_seconds():
    heavy = "{'torch', 'fastapi', 'sqlalchemy', 'ts', 'scipy', 'lightning'}"
    code = f"import sys, marina.cli.main; print(sorted({heavy} & set(sys.modules)))"
    assert run(sys.executable, "-c", code, cwd=ROOT).strip() == "[]"


def test_an_installed_wheel_writes_no_scaffold_and_names_the_way_out(marina, tmp_path):
    command = [marina, "new", "model", "my_net", "--task", "image_classification"]
    done = subprocess.run(command, cwd=tmp_path, env=outside(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is no checkout of Marina" in done.stderr
    assert "clone the repository" in done.stderr
    assert list(tmp_path.glob("**/*.py")) == []


@pytest.mark.serve
def test_an_installed_wheel_serves_an_archive_by_its_path(marina, tmp_path):
    archive = dummy(tmp_path / "elsewhere", tmp_path / "keys", "alpha")
    archive.with_name(archive.name + ".sig").unlink()
    home = tmp_path / "home"
    home.mkdir()
    environment = outside(tmp_path)
    options = {"cwd": home, "env": environment, "timeout": 300}
    try:
        assert "1 of 1 ready" in run(marina, "serve", archive, **options)
        code = "import marina, handlers, models; print(marina.__file__, handlers.__file__, models.__file__)"
        files = run(marina.with_name("python"), "-c", code, **options).split()
        assert [Path(file).is_relative_to(marina.parents[1]) for file in files] == [True] * 3
        (home / "body.json").write_text("{}")
        assert json.loads(run(marina, "predict", "alpha", home / "body.json", **options))["version"] == "1.0"
        assert sorted(path.name for path in home.iterdir()) == ["archive", "body.json", "var"]
    finally:
        run(marina, "stop", **options)
