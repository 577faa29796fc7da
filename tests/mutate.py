"""Mutation score of some files, by mutmut with its default operators: `make mutate PATHS="handlers/base.py"`.

    python tests/mutate.py FILE... [--tests PATH ...] [--only PATTERN ...] [--jobs N] [--list]

Each file is mutated in a temporary copy of the working tree and tested by its nearest tests: the test files that import
it, or those given by --tests. Survivors are printed as diffs. Mutants that change nothing anybody could observe are
listed with a reason in tests/equivalents.toml and leave the score.

This file is run as a script, never imported as part of the package `tests`: mutmut imports that from the copy.
"""

import argparse
import ast
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENTS = "tests/equivalents.toml"
KILLED = ("killed", "timeout", "segfault", "check was interrupted by user", "suspicious")


@dataclass
class Mutant:
    """`function` is the mutant's qualified function; `change` the mutated line, as the diff shows it."""

    name: str
    function: str
    status: str
    change: str
    diff: str


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutation score of some files")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--tests", action="extend", nargs="+", default=[], help="instead of those that import the file")
    parser.add_argument("--only", action="extend", nargs="+", help='mutants to try, such as "*x_finite__mutmut_*"')
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time")
    parser.add_argument("--list", action="store_true", help="print the nearest tests of each file, and run nothing")
    parser.add_argument("--result", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.files = [file for path in options.files for file in files_of(path)]
    options.only = options.only or ["*"]
    if options.result:  # in the copy, one file
        Path(options.result).write_text(json.dumps([asdict(one) for one in mutants_of(options)]))
        return
    together = [options.files] if options.tests else [[file] for file in options.files]
    totals = [total for files in together for total in report(files, options)]
    if len(totals) > 1:
        alive, counted = sum(alive for alive, _ in totals), sum(counted for _, counted in totals)
        print(f"{'together':40} {counted:5} mutants  {score(alive, counted)}")


def report(files: list[str], options: argparse.Namespace) -> list[tuple[int, int]]:
    """Mutate files that have the same tests, print the survivors; return of each how many there are, of how many."""
    tests = options.tests or nearest(files[0])
    if options.list or not tests:
        print(f"{' '.join(files)}: {' '.join(tests) or 'no test imports it: name some with --tests'}")
        return [(0, 0)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy_tree(Path(folder))
        result = Path(folder) / "result.json"
        command = [sys.executable, "tests/mutate.py", *files, "--only", *options.only, "--result", str(result)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        command += ["--jobs", str(options.jobs), "--tests", *tests]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if not result.exists():
            sys.exit(f"{' '.join(files)}: mutmut failed\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        mutants = [Mutant(**one) for one in json.loads(result.read_text())]
    excluded = tomllib.loads((ROOT / EQUIVALENTS).read_text(encoding="utf-8")) if (ROOT / EQUIVALENTS).exists() else {}
    return [
        tally(file, [one for one in mutants if one.name.rpartition(".")[0] == module(file)], excluded) for file in files
    ]


def tally(file: str, mutants: list[Mutant], excluded: dict[str, dict[str, str]]) -> tuple[int, int]:
    equivalent = [one for one in mutants if one.change in excluded.get(one.function, {})]
    counted = [one for one in mutants if one not in equivalent]
    alive = [one for one in counted if one.status not in KILLED]
    for one in alive:
        print(f"\n{one.name}: {one.status}\n{one.diff}")
    late = sum(one.status == "timeout" for one in counted)
    print(f"{file:40} {len(counted):5} mutants  {score(len(alive), len(counted))}, ", end="")
    print(f"{late} of them by time-out, {len(equivalent)} equivalent", flush=True)
    return len(alive), len(counted)


def score(alive: int, counted: int) -> str:
    return f"{counted - alive:5} killed  {alive:4} survived  {100 * (counted - alive) / max(counted, 1):5.1f} %"


def nearest(file: str) -> list[str]:
    """The test files that import this module, but those that start servers."""
    found = [path for path in (ROOT / "tests").rglob("test_*.py") if "serve" not in path.parts]
    return sorted(str(path.relative_to(ROOT)) for path in found if module(file) in imported(path))


def files_of(path: str) -> list[str]:
    """The Python files of a folder; of a file, itself."""
    return sorted(str(file) for file in Path(path).rglob("*.py")) if Path(path).is_dir() else [path]


def module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def imported(path: Path) -> set[str]:
    """The modules that a file may import: `from a import b` may mean a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def copy_tree(folder: Path) -> None:
    """Copy what git tracks, or would, as it is now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def mutants_of(options: argparse.Namespace) -> list[Mutant]:
    """Run mutmut in the current folder, configured in pyproject.toml, on some files with the given tests."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path("tests").resolve()]
    from mutmut import __main__ as mutmut
    from mutmut.configuration import config
    from mutmut.runners.harness import PytestRunner
    from mutmut.state import state
    from mutmut.workers import isolation

    settings = config()
    settings.only_mutate = options.files
    settings.pytest_add_cli_args_test_selection = options.tests
    regular, warm_up = PytestRunner._pytest_args_regular_run, PytestRunner.warm_up

    def quickest_first(runner: Any, tests: Any) -> list[str]:
        return regular(runner, sorted(tests, key=lambda test: state().duration_by_test.get(test, 0.0)))

    def frozen(runner: Any) -> None:
        warm_up(runner)
        gc.collect()
        gc.freeze()  # else every mutant's process walks, and so copies, all that torch brought

    wait = isolation.register_timeout

    def patient(pid: int, seconds: float) -> None:
        wait(pid, seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))  # a busy machine kills no mutant

    PytestRunner._pytest_args_regular_run, PytestRunner.warm_up = quickest_first, frozen
    isolation.register_timeout = patient
    mutmut._run(tuple(options.only) if options.only != ["*"] else (), max_children=options.jobs)
    return [one for file in options.files for one in tried(file, options.only)]


def tried(file: str, only: list[str]) -> list[Mutant]:
    """Read what mutmut found out."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code

    data = SourceFileMutationData(path=Path(file))
    data.load()
    found = []
    for name, code in data.exit_code_by_key.items():
        status = status_by_exit_code[code]
        if status != "not checked" and any(fnmatch(name, pattern) for pattern in only):
            lines = [line for line in get_diff_for_mutant(name, path=file).splitlines()[3:] if line[:1] in ("+", "-")]
            change = " ".join(line[1:].strip() for line in lines if line[0] == "+")
            function = name.split("__mutmut_")[0].replace("xǁ", "").replace("ǁ", ".").replace(".x_", ".")
            found.append(Mutant(name, function, status, change, "\n".join(lines)))
    return found


if __name__ == "__main__":
    main()
