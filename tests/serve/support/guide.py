"""Runs the commands of a page of documentation, in a copy of this checkout, as a reader would."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from marina.settings import ROOT, Settings
from tests.serve.support.bundle import free_ports

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Reader:
    """`checkout` has every file of ours, and the data, weights, archives and keys that are here, times kept."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "marina"
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
            if (ROOT / name).is_file():
                (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.checkout / name)
        for generated in ("artifacts", "archive/store", "var/keys"):
            shutil.copytree(ROOT / generated, self.checkout / generated, copy_function=shutil.copy2)
        (self.checkout / "data").symlink_to(ROOT / "data")
        names = [name for name in Settings.model_fields if name == "port" or name.endswith("_port")]
        ports = dict(zip(names, map(str, free_ports(len(names))), strict=True))
        self.port = ports["port"]
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("MARINA_", "MAKE"))},
            **{f"MARINA_{name.upper()}": value for name, value in ports.items()},
            "VENV": str(ROOT / ".venv"),
            "HOST": f"http://127.0.0.1:{self.port}",
        }

    def run(self, command: str) -> str:
        """Return the output of a command, which must succeed."""
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def stop(self) -> None:
        self.run("make stop")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page under the root, in this language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [body for kind, body in BLOCK.findall(text) if kind == language]


def commands(page: str) -> list[str]:
    """Every line behind a `$ ` in the console blocks, continued lines joined."""
    joined = "\n".join(blocks(page, "console")).replace("\\\n", " ")
    return [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
