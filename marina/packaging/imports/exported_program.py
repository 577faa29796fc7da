"""Files of torch.export (.pt2), read as data. torch.export.load, which runs text and pickles of a file, is not used.

What a run needs is written again for models/parts/exported_program.py: the graph and the tensors. Sample inputs, shape
expressions, guards and stack traces stay behind. docs/decisions/0079 lists where torch would run them.
"""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from marina.errors import ModelImportError
from marina.packaging.imports.archive_contents import check_members
from models.parts.exported_program import DTYPES, GRAPH, torch_export

MARK, OLD = "archive_format", "serialized_exported_program.json"  # the latter as torch 2.7 wrote it
SCHEMA = 8  # major version of torch/_export/serde/schema.py
TRAINING = [(name, {"as_bool": True}) for name in ("train", "training")]  # of dropout and batch normalization
MAX_SIZE = 4096  # of a batch, and of an image
FLOAT, STRIDED = 7, 7  # of the schema's ScalarType and Layout
AGAIN = "Where it comes from, load it with a newer torch, and save it again"
MEMBER = re.compile(
    r"archive_\w+|byteorder|\.data/\w+|\.format_version|\.storage_alignment|models/\w+\.json|extra/.+"
    r"|data/(weights/weight|constants/tensor)_\d+|data/(weights|constants)/\w+_config\.json|data/sample_inputs/\w+\.pt"
)
# Why other members are refused, by how their names begin.
REASONS = {
    "data/aotinductor/": "it holds compiled native code (AOTInductor), which nothing can check: save the "
    "exported program itself, with torch.export.save",
    "data/constants/custom_obj_": "it holds pickled objects",
    "data/constants/opaque_obj_": "it holds pickled objects",
    "data/weights/": f"its weights are a pickle, as an older torch wrote them. {AGAIN}",
    "data/constants/": f"its constants are a pickle, as an older torch wrote them. {AGAIN}",
}
# Unquoted words of the texts that torch evaluates: symbols, classes of sympy, and what guards read of a tensor.
WORD = re.compile(
    r"[A-Z][A-Za-z]*|[a-z]{1,3}\d+|true|false|integer|positive|nonnegative|nonzero|finite|real|precision|evaluate"
    r"|size|stride|storage_offset|dim|and|or|not|math|trunc|min|max"
)


def is_exported(names: list[str]) -> bool:
    """Return whether a zip file with these members is one of torch.export."""
    return any(name.split("/")[-1] in (MARK, OLD) for name in names)


def read(file: Path) -> tuple[bytes, int | None]:
    """Return the program of a file, as models/parts/exported_program.py runs it, and the batch size if it is fixed.

    Raises ModelImportError for a file that is damaged, holds code, or needs what is not served.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            content, batch = _converted(_members(file, archive))
        torch_export(content)
    except (zipfile.BadZipFile, EOFError, OSError) as exc:
        raise ModelImportError(f"{file} is truncated, or damaged: {exc}") from exc
    except ValueError as exc:
        raise ModelImportError(f"{file} is refused: {' '.join(str(exc).split())[:300]}") from exc
    except (LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError, NotImplementedError) as exc:
        reason = " ".join(str(exc).split())[:100]
        raise ModelImportError(f"{file} is no program of torch.export: {type(exc).__name__}: {reason}") from exc
    return content, batch


def _members(file: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Return the members without their common folder. Raises ModelImportError, or ValueError for an unknown one."""
    infos = archive.infolist()
    check_members(file, infos)
    root = infos[0].filename.partition("/")[0]
    if not all(info.filename.startswith(f"{root}/") for info in infos):
        raise ValueError(f"it is as torch 2.7 wrote it. {AGAIN}")
    if any(info.compress_type for info in infos) or sum(info.file_size for info in infos) > file.stat().st_size:
        raise ValueError("its members are compressed, or overlap: torch.export.save writes neither")
    members = {info.filename.removeprefix(f"{root}/"): archive.read(info) for info in infos}
    for name in members:
        if not MEMBER.fullmatch(name):
            reasons = (reason for start, reason in REASONS.items() if name.startswith(start))
            raise ValueError(next(reasons, f"its member {name!r} is none that torch.export.save writes"))
    if members[MARK] != b"pt2" or members.get("byteorder", b"little") != b"little":
        raise ValueError("it is no pt2 archive of a little-endian machine")
    return members


def _converted(members: dict[str, bytes]) -> tuple[bytes, int | None]:
    """Return the program in `members`, and its batch size if that is fixed. Raises ValueError for what is refused."""
    models = [name.removeprefix("models/").removesuffix(".json") for name in members if name.startswith("models/")]
    if len(models) != 1:
        raise ValueError(f"it holds {len(models)} programs; one is served")
    program = json.loads(members[f"models/{models[0]}.json"])
    version = program["schema_version"]
    if version["major"] != SCHEMA:
        written = f"{version['major']}.{version['minor']} (torch {program.get('torch_version')})"
        raise ValueError(f"it has version {written} of the schema; version {SCHEMA} is served")
    _check_texts(program)
    for name in members:
        if name.endswith(".pt"):
            _check_pickle(members[name])
    graph, signature = program["graph_module"]["graph"], program["graph_module"]["signature"]
    kinds = [kind for spec in signature["output_specs"] for kind in spec]
    if changes := set(kinds) - {"user_output", "user_input_mutation"}:  # a run gets its own copy of the images
        raise ValueError(f"each run changes its state ({changes.pop()}): export it after network.eval()")
    arguments = [(each["name"], each["arg"]) for node in graph["nodes"] for each in node["inputs"]]
    if any(argument in arguments for argument in TRAINING):
        raise ValueError("it was exported for training: export it after network.eval()")
    image = _input(signature["input_specs"], graph["tensor_values"])
    tensors = _tensors(signature["input_specs"], members, models[0])
    sizes = [each.get("as_int") for each in graph["tensor_values"][image]["sizes"]]
    if not all(size is None or (type(size) is int and 0 < size <= MAX_SIZE) for size in sizes):
        raise ValueError(f"it takes {' x '.join('N' if size is None else str(size) for size in sizes)}")
    kept = {
        "input": image,
        "tensors": tensors,
        "sizes": sizes,
        "nodes": [{part: node[part] for part in ("target", "inputs", "outputs")} for node in graph["nodes"]],
        "outputs": [each for each, kind in zip(graph["outputs"], kinds, strict=True) if kind == "user_output"],
    }
    contents = {each["path"]: members[each["path"]] for each in tensors.values()}
    contents[GRAPH] = json.dumps(kept).encode()
    tensor = {name: torch.frombuffer(bytearray(each), dtype=torch.uint8) for name, each in contents.items() if each}
    return save(tensor), sizes[0]


def _input(specs: list[dict[str, Any]], metas: dict[str, Any]) -> str:
    """Return the name of the images. Raises ValueError if there are other inputs, or the images are not float32."""
    kinds = {kind for spec in specs for kind in spec}
    if other := kinds - {"parameter", "buffer", "tensor_constant", "user_input", "constant_input"}:
        raise ValueError(f"it has an input of the kind {other.pop()}")
    inputs = [spec["user_input"]["arg"] for spec in specs if "user_input" in spec]
    if len(inputs) != 1 or "as_tensor" not in inputs[0]:
        raise ValueError(f"it has {len(inputs)} inputs; image_classification has one, the images")
    name: str = inputs[0]["as_tensor"]["name"]
    if (dtype := metas[name]["dtype"]) != FLOAT:
        raise ValueError(f"it takes {DTYPES.get(dtype, 'another type')}; export it with float32 inputs")
    return name


def _tensors(specs: list[dict[str, Any]], members: dict[str, bytes], model: str) -> dict[str, dict[str, Any]]:
    """Return parameters, buffers and constants by the names that the graph gives them: where each of them is stored.

    Raises ValueError for a pickle, and for a tensor that is not served.
    """
    stored: dict[str, tuple[str, dict[str, Any]]] = {}
    for folder in ("weights", "constants"):
        config = json.loads(members[f"data/{folder}/{model}_{folder}_config.json"])["config"]
        stored |= {name: (f"data/{folder}/{meta['path_name']}", meta) for name, meta in config.items()}
    tensors = {}
    for spec in specs:
        ((kind, given),) = spec.items()
        if kind not in ("parameter", "buffer", "tensor_constant"):
            continue
        path, payload = stored[given[f"{kind}_name"]]
        if payload["use_pickle"]:
            raise ValueError(f"its tensor {path} is a pickle; only plain tensors are read")
        meta = payload["tensor_meta"]
        sizes, strides = ([each["as_int"] for each in meta[part]] for part in ("sizes", "strides"))
        if meta["dtype"] not in DTYPES or meta["layout"] != STRIDED or not (members[path] or 0 in sizes):
            raise ValueError(f"its tensor {path} is sparse, without content, or of a type that is not served")
        offset = meta["storage_offset"]["as_int"]
        tensors[given["arg"]["name"]] = {"path": path, "dtype": meta["dtype"], "view": [sizes, strides, offset]}
    return tensors


def _check_texts(value: Any, key: str = "") -> None:
    """Raise ValueError for text in a program that torch.export.load would run, or write into generated code.

    It is not served in any case: whoever imports such a file has to know of it.
    """
    if isinstance(value, dict):
        for name, each in value.items():
            _check_texts(each, name)
    elif isinstance(value, list):
        for each in value:
            _check_texts(each, key)
    elif not isinstance(value, str):
        return
    elif key in ("expr_str", "guards_code"):
        bare = re.sub(r"'\w+'", "", value)
        words = re.findall(r"[^\W\d]\w*", bare)
        if set(re.sub(r"\w", "", bare)) - set(" ()[],=<>!+-*/%.&|~") or not all(map(WORD.fullmatch, words)):
            raise ValueError(f"its expression {value!r:.80} is code that torch.export.load would run")
    elif key in ("in_spec", "out_spec") and re.search("__enum__|default_factory", value):
        raise ValueError(f"its {key} names a module, which torch.export.load would import")
    elif key in ("name", "as_name", "forward_arg_names") and value and not value.isidentifier():
        raise ValueError(f"its name {value!r:.80} is code that torch.export.load would run")


def _check_pickle(content: bytes) -> None:
    """Raise ValueError if the pickle of the sample inputs, which is not served, holds more than tensors."""
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as exc:  # whatever it leads to: UnpicklingError, RuntimeError, KeyError, ...
        raise ValueError("its sample inputs are a pickle that needs code, which torch.export.load would run") from exc
