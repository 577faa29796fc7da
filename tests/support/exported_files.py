"""Files of torch.export, and the same files with other members, as an attacker or another version would write them."""

import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

PROGRAM = "models/model.json"
CONFIGS = {folder: f"data/{folder}/model_{folder}_config.json" for folder in ("weights", "constants")}


def exported(file: Path, network: nn.Module, images: Tensor, dynamic: bool = True) -> Path:
    """Write the program of a network, for batches of any size or only for that of `images`."""
    shapes = ({0: Dim("batch")},) if dynamic else None
    torch.export.save(torch.export.export(network, (images,), dynamic_shapes=shapes), file)
    return file


def members(file: Path) -> dict[str, bytes]:
    """Return the members of an archive without their folder."""
    with zipfile.ZipFile(file) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def rewrite(file: Path, content: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> None:
    """Write an archive of these members; names may repeat."""
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, each in content:
            archive.writestr(f"net/{name}", each)


def edit(file: Path, member: str, change: Callable[[Any], None]) -> None:
    """Change a JSON member of an archive."""
    found = members(file)
    content = json.loads(found[member])
    change(content)
    rewrite(file, {**found, member: json.dumps(content).encode()}.items())


def edit_program(file: Path, change: Callable[[Any], None]) -> None:
    """Change the program in an archive."""
    edit(file, PROGRAM, change)


def edit_graph(file: Path, change: Callable[[Any], None]) -> None:
    """Change the graph of the program in an archive."""
    edit_program(file, lambda program: change(program["graph_module"]["graph"]))
