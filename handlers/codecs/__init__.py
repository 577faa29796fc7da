"""From what a user sends to what a network takes. Training uses the same objects: what is trained is what is served.

A codec is a frozen dataclass of plain values; what training found out (words, means) is part of it, and all of it
travels in the archive as codec.json.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

Codec = TypeVar("Codec")
FILE = "codec.json"


def save(codec: Any, folder: Path) -> None:
    """Write the codec into `folder`."""
    (folder / FILE).write_text(json.dumps(asdict(codec), ensure_ascii=False, indent=1), encoding="utf-8")


def load(kind: type[Codec], folder: Path) -> Codec:
    """The codec of this kind that `save` wrote into `folder`."""
    return kind(**json.loads((folder / FILE).read_text(encoding="utf-8")))
