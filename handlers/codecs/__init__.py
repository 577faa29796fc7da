"""Codecs: from what a client sends to what a network takes. Training imports the same objects as serving does, so what
is trained is what is served.

A codec is a frozen dataclass of plain values. What training has learned (vocabularies, means) is part of it, and all of
it travels in the archive as codec.json.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

Codec = TypeVar("Codec")
FILE = "codec.json"


def save(codec: Any, folder: Path) -> None:
    """Write the codec as `codec.json` into `folder`."""
    (folder / FILE).write_text(json.dumps(asdict(codec), ensure_ascii=False, indent=1), encoding="utf-8")


def load(kind: type[Codec], folder: Path) -> Codec:
    """Return the codec of this kind that `save` wrote into `folder`.

    Raises FileNotFoundError if there is none, and TypeError if it is of another kind.
    """
    return kind(**json.loads((folder / FILE).read_text(encoding="utf-8")))
