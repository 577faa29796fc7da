"""Small signed archives, written by hand: nothing in them runs."""

import json
import zipfile
from pathlib import Path

from marina.packaging.sign import sign
from marina.settings import Settings

EXAMPLE = {"file": "example.json", "content_type": "application/json"}
CONFIG = "minWorkers: 1\nmaxBatchDelay: 1\n"


def write_mar(
    settings: Settings, name: str, version: str = "1.0", *, signed: bool = True, **members: str | None
) -> Path:
    """Write `<name>-<version>.mar` into the store.

    `members` replace files by name, with "__" for a dot; None leaves a file out.
    """
    files: dict[str, str | None] = {
        "card.json": json.dumps({"name": name, "task": "counting", "example": EXAMPLE}),
        "example.json": '{"canary": true}',
        "model-config.yaml": CONFIG,
    }
    files |= {member.replace("__", "."): text for member, text in members.items()}
    model = {"modelName": name, "modelVersion": version, "handler": "base_handler", "configFile": "model-config.yaml"}
    path = settings.store / f"{name}-{version}.mar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": model}))
        for member, text in files.items():
            if text is not None:
                archive.writestr(member, text)
    if signed:
        sign(path, settings.var / "keys")
    return path
