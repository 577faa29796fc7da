"""Long outputs, compared whole with a JSON file beside this one: no key of a configuration changes unnoticed.

After an intended change run the tests with RECORD=1 and read the diff.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("recorded")


def assert_recorded(name: str, value: Any, places: Mapping[str, str]) -> None:
    """`value` is what recorded/<name>.json holds; `places` are paths of this machine and what stands for them."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    for path, placeholder in places.items():
        text = text.replace(path, placeholder)
    file = FOLDER / f"{name}.json"
    if os.environ.get("RECORD"):
        file.write_text(text + "\n", encoding="utf-8")
    assert json.loads(text) == json.loads(file.read_text(encoding="utf-8"))
