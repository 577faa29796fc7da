"""Archives whose handler returns what TorchServe passed to it: with a card as ours, or foreign ones without."""

import json
import os
import subprocess
import sys
from pathlib import Path

from marina.packaging.sign import sign
from tests.serve.support.bundle import Bundle

CONFIG = "maxBatchDelay: 1\nbatchSize: 1\nresponseTimeout: 20\nstartupTimeout: 60\nminWorkers: 1\nmaxWorkers: 1\n"


def pack_echo(bundle: Bundle, name: str, card: bool = True, forms: bool = False, fails: bool = False) -> Path:
    """Pack and sign an archive, and return the log of its requests, a line of JSON each.

    The log is in the gallery, where a worker may write.
    """
    folder, log = bundle.settings.store / f".{name}", bundle.settings.gallery / f"{name}.jsonl"
    folder.mkdir(parents=True)
    files = {"log.txt": str(log), **({"card.json": json.dumps({"name": name})} if card else {})}
    files |= {"fails.txt": ""} if fails else {}
    for file, text in files.items():
        (folder / file).write_text(text)
    (folder / "model-config.yaml").write_text(CONFIG + ("acceptForms: true\n" if forms else ""))
    command = [Path(sys.executable).with_name("torch-model-archiver"), "--model-name", name, "--version", "1.0"]
    command += ["--handler", Path(__file__).with_name("echo_handler.py"), "--config-file", folder / "model-config.yaml"]
    command += ["--extra-files", ",".join(str(folder / file) for file in files), "--export-path", folder]
    subprocess.run(command, check=True, env={**os.environ, "TMPDIR": str(folder)})
    sign((folder / f"{name}.mar").rename(bundle.settings.store / f"{name}-1.0.mar"), bundle.keys)
    return log


def logged(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
