"""A signed archive whose handler counts, a number a step: counting_handler.py."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import yaml

from marina.packaging.build import model_config
from marina.packaging.freshness import closure
from marina.packaging.sign import sign
from marina.settings import ROOT
from models.card import Serving

HANDLER = Path("tests", "serve", "support", "counting_handler.py")


def counting(store: Path, keys: Path, name: str, batch: int = 4, workers: int = 1) -> Path:
    """Pack and sign it, served by continuous batching."""
    folder = store / f".{name}"
    content = folder / "content"
    for source in closure(HANDLER):
        (content / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, content / source)
    card = {"name": name, "version": "1.0", "example": {"file": "example.json", "content_type": "application/json"}}
    (content / "card.json").write_text(json.dumps(card))
    (content / "example.json").write_text('{"to": 2}')
    serving = Serving(batch_size=batch, max_batch_delay=1, workers=workers, continuous_batching=True)
    (folder / "model-config.yaml").write_text(yaml.safe_dump(model_config(asdict(serving))))
    (folder / "made").mkdir()
    subprocess.run(
        [
            *(Path(sys.executable).with_name("torch-model-archiver"), "--model-name", name, "--version", "1.0"),
            *("--handler", ROOT / HANDLER, "--config-file", folder / "model-config.yaml"),
            *("--extra-files", content, "--export-path", folder / "made"),
        ],
        check=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    archive = (folder / "made" / f"{name}.mar").rename(store / f"{name}-1.0.mar")
    sign(archive, keys)
    return archive
