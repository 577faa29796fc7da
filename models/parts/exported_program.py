"""Program of torch.export, run as calls of ATen operators, one by one. No Python is generated, evaluated or unpickled.

The content is a safetensors file: the bytes of the program's tensors by their paths in the .pt2 archive, and under
"graph.json" its graph in the schema of torch/_export/serde/schema.py, cut down to what a run needs.
docs/decisions/0079 gives the reasons.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor

from models.parts.aten_operators import NUMBERS, found

GRAPH = "graph.json"
# Kinds of arguments in the schema, and the numbers of its ScalarType, MemoryFormat and Layout.
LITERALS = ("as_none", "as_int", "as_bool", "as_string", "as_ints", "as_bools", "as_strings")
SYMBOLS = ("as_sym_int", "as_sym_float", "as_sym_bool")
DTYPES = {1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16}
DTYPES |= {7: torch.float32, 8: torch.float64, 10: torch.complex64, 12: torch.bool, 13: torch.bfloat16}
MEMORY = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}
CONSTANTS: dict[str, Mapping[int, Any]] = {
    "as_scalar_type": DTYPES,
    "as_memory_format": MEMORY,
    "as_layout": {7: torch.strided},
}


@dataclass(frozen=True)
class Value:
    """An input, or an output of an earlier call."""

    name: str


@dataclass
class Call:
    """One call of an operator; `finished` are the values that no later call needs."""

    operator: Callable[..., Any]
    positional: list[Any]
    named: dict[str, Any]
    outputs: list[Any]
    finished: set[str] = field(default_factory=set)

    @property
    def used(self) -> set[str]:
        """The names of the values that the call takes."""
        return set(names([self.positional, *self.named.values()]))

    def run(self, values: dict[str, Any]) -> None:
        """Call the operator with `values`, and add its outputs to them."""
        named = {name: filled(each, values) for name, each in self.named.items()}
        result = self.operator(*filled(self.positional, values), **named)
        store(self.outputs[0] if len(self.outputs) == 1 else self.outputs, result, values)
        for name in self.finished:
            del values[name]


def torch_export(content: bytes) -> Callable[[Tensor], Sequence[Any]]:
    """Open a program. Raises ValueError for an operator or an argument that it must not have."""
    contents = load(content)
    graph = json.loads(bytes(contents.pop(GRAPH).numpy()))
    tensors = {name: tensor(each, contents) for name, each in graph["tensors"].items()}
    calls = calls_of(graph, tensors)
    outputs = [argument(each) for each in graph["outputs"]]
    sizes = graph["sizes"]

    def run(batch: Tensor) -> Sequence[Any]:
        if len(sizes) != batch.dim() or any(size not in (None, n) for size, n in zip(sizes, batch.shape, strict=True)):
            wanted = " x ".join("N" if size is None else str(size) for size in sizes)
            raise ValueError(f"the program takes {wanted}, not {' x '.join(map(str, batch.shape))}")
        values = {**tensors, graph["input"]: batch.clone()}  # a program may write to its input
        with torch.no_grad():
            for call in calls:
                call.run(values)
        return [filled(each, values) for each in outputs]

    return run


def tensor(stored: Mapping[str, Any], contents: Mapping[str, Tensor]) -> Tensor:
    """Return a tensor as it was exported: a view of its content, which several may share."""
    sizes, strides, offset = stored["view"]
    if 0 in sizes:
        return torch.zeros(sizes, dtype=DTYPES[stored["dtype"]])
    return contents[stored["path"]].view(DTYPES[stored["dtype"]]).as_strided(sizes, strides, offset)


def calls_of(graph: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> list[Call]:
    """Return the calls of a graph. Raises ValueError for one that it must not have, or for an unknown value."""
    calls, known = [], {*tensors, graph["input"]}
    for node in graph["nodes"]:
        call = Call(found(node["target"]), [], {}, [argument(each) for each in node["outputs"]])
        values = [argument(each["arg"]) for each in node["inputs"]]
        if node["target"] in NUMBERS:
            call.positional = values
        else:
            call.named = {each["name"]: value for each, value in zip(node["inputs"], values, strict=True)}
        made = list(names(call.outputs))
        if not call.used <= known or known & set(made) or len(set(made)) < len(made):
            raise ValueError(f"{node['target']} takes a value before it is made, or makes one again")
        known |= set(made)
        calls.append(call)
    needed = set(names([argument(each) for each in graph["outputs"]]))
    if not needed <= known:
        raise ValueError("an output is never made")
    for call in reversed(calls):
        call.finished = (call.used | set(names(call.outputs))) - needed
        needed |= call.used
    return calls


def argument(union: Mapping[str, Any]) -> Any:
    """Return an argument or output of the schema, {kind: value}: a value, a list of them, or a constant."""
    ((kind, value),) = union.items()
    if kind in LITERALS:
        return None if kind == "as_none" else value
    if kind in ("as_float", "as_floats"):  # "Infinity" is a text
        return float(value) if kind == "as_float" else [float(each) for each in value]
    if kind in CONSTANTS and value in CONSTANTS[kind]:
        return CONSTANTS[kind][value]
    if kind == "as_device":
        return torch.device("cpu")  # wherever the program was exported
    if kind == "as_tensor":
        return Value(value["name"])
    if kind in SYMBOLS:
        ((form, number),) = value.items()
        return Value(number) if form == "as_name" else number
    if kind == "as_optional_tensor":
        return argument(value)
    if kind[:-1] in (*SYMBOLS, "as_tensor", "as_optional_tensor"):
        return [argument({kind[:-1]: each}) for each in value]
    raise ValueError(f"arguments {kind} of {value!r:.80} are not served")


def names(value: Any) -> Iterator[str]:
    """Yield the names of the values in nested lists."""
    if isinstance(value, Value):
        yield value.name
    elif isinstance(value, list):
        for each in value:
            yield from names(each)


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Return nested lists with their values in place of the names."""
    if isinstance(value, list):
        return [filled(each, values) for each in value]
    return values[value.name] if isinstance(value, Value) else value


def store(outputs: Any, result: Any, values: dict[str, Any]) -> None:
    """Add the result of a call to `values`, under the names in `outputs`."""
    if isinstance(outputs, Value):
        values[outputs.name] = result
    elif isinstance(outputs, list) and outputs:
        for each, one in zip(outputs, result, strict=True):
            store(each, one, values)
