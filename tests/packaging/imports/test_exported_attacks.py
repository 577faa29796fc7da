"""Files of torch.export that carry code: each is refused in one line, and nothing of it runs."""

import io
import json
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from marina.errors import ModelImportError
from marina.packaging.imports import program
from tests.support.exported_files import CONFIGS, PROGRAM, edit, edit_graph, edit_program, exported, members, rewrite


class Net(nn.Module):
    """A classifier with a constant, and with a size in its graph."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(1), persistent=False)
        self.fc = nn.Linear(3, 5)

    def forward(self, x):
        return self.fc(x.amax(dim=(2, 3)).reshape(x.shape[0], -1) * self.scale)


class Evil:
    """An object whose pickle creates a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (self.canary,))


def torch_pickle(canary: Path) -> bytes:
    content = io.BytesIO()
    torch.save(Evil(canary), content)
    return content.getvalue()


def code(canary: Path) -> str:
    return f"__import__('pathlib').Path('{canary}').touch()"


def member(name):
    """Return an attack that adds or replaces a member by a pickle."""
    return lambda file, canary: rewrite(file, {**members(file), name: torch_pickle(canary)}.items())


def tensor(folder):
    """Return an attack that changes the first tensor of a folder into a pickle."""

    def attack(file, canary):
        (name, meta), *_ = json.loads(members(file)[CONFIGS[folder]])["config"].items()
        edit(file, CONFIGS[folder], lambda content: content["config"][name].update(use_pickle=True))
        member(f"data/{folder}/{meta['path_name']}")(file, canary)

    return attack


def constant(path):
    """Return an attack that adds a pickled object to the constants."""

    def attack(file, canary):
        meta = {"path_name": path, "is_param": False, "use_pickle": True, "tensor_meta": None}
        edit(file, CONFIGS["constants"], lambda content: content["config"].update(evil=meta))
        rewrite(file, {**members(file), f"data/constants/{path}": pickle.dumps(Evil(canary))}.items())

    return attack


def expression(*path):
    """Return an attack that changes a value in the graph into an expression of sympy."""

    def attack(file, canary):
        def change(graph):
            place = graph
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = {"as_expr": {"expr_str": code(canary), "hint": None}}

        edit_graph(file, change)

    return attack


def call(target, output=None, **arguments):
    """Return an attack that adds a call of an operator."""

    def attack(file, canary):
        given = [{"name": name, "arg": each, "kind": 1} for name, each in arguments.items()]
        text = json.dumps({"target": target, "inputs": given, "outputs": [output or {"as_none": True}], "metadata": {}})

        def change(graph):
            graph["tensor_values"]["evil"] = graph["tensor_values"]["x"]
            graph["nodes"].append(json.loads(text.replace("CANARY", str(canary))))

        edit_graph(file, change)

    return attack


def guard(file, canary):
    edit_program(file, lambda content: content.update(guards_code=[code(canary)]))


def name(file, canary):
    text = json.dumps(json.loads(members(file)[PROGRAM]))
    rewrite(file, {**members(file), PROGRAM: text.replace('"x"', json.dumps(f"x={code(canary)}")).encode()}.items())


def spec(file, canary):
    (canary.parent / "canary_module.py").write_text(f"open({str(canary)!r}, 'w')")
    context = json.dumps([{"__enum__": True, "fqn": "canary_module:A", "name": "B"}])
    leaf = {"type": None, "context": None, "children_spec": []}
    evil = json.dumps([1, {"type": "builtins.dict", "context": context, "children_spec": [leaf]}])
    edit_program(
        file, lambda content: content["graph_module"]["module_call_graph"][0]["signature"].update(out_spec=evil)
    )


X, PATH, GRAPH = {"as_tensor": {"name": "x"}}, {"as_string": "CANARY"}, {"as_graph": {"name": "g", "graph": {}}}
EVIL = {"as_tensor": {"name": "evil"}}
# Attacks that torch.export.load, or the first run of its module, falls for; and the line that they end in here.
RUN_BY_TORCH = {
    "weight": (tensor("weights"), "weight_0 is a pickle"),
    "constant": (tensor("constants"), "tensor_0 is a pickle"),
    "object": (constant("opaque_obj_0"), "holds pickled objects"),
    "sample inputs": (member("data/sample_inputs/model.pt"), "sample inputs are a pickle that needs code"),
    "old weights": (member("data/weights/model.pt"), "weights are a pickle, as an older torch"),
    "old constants": (member("data/constants/model.pt"), "constants are a pickle, as an older torch"),
    "size": (expression("tensor_values", "x", "sizes", 0), "expression .* is code"),
    "stride": (expression("tensor_values", "x", "strides", 0), "expression .* is code"),
    "symbol": (expression("sym_int_values", "sym_size_int_1"), "expression .* is code"),
    "guard": (guard, "expression .* is code"),
    "name": (name, "name .* is code"),
    "spec": (spec, "out_spec names a module"),
    "file": (
        call("torch.ops.aten.from_file.default", EVIL, filename=PATH, shared={"as_bool": True}, size={"as_int": 8}),
        "operator torch.ops.aten.from_file.default is not served",
    ),
}
OTHERS = {
    "torchbind object": (constant("custom_obj_0"), "holds pickled objects"),
    "float": (expression("sym_float_values", "evil"), "expression .* is code"),
    "boolean": (expression("sym_bool_values", "evil"), "expression .* is code"),
    "offset": (expression("tensor_values", "x", "storage_offset"), "expression .* is code"),
    "command": (call("torch.os.system", command={"as_string": "touch CANARY"}), "torch.os.system is not served"),
    "bare command": (call("os.system", command={"as_string": "touch CANARY"}), "os.system is not served"),
    "save": (call("torch.ops.aten.save.default", item=X, filename=PATH), "aten.save.default is not served"),
    "load": (call("torch.load", f=PATH), "torch.load is not served"),
    "library": (call("torch.ops.load_library", path=PATH), "torch.ops.load_library is not served"),
    "attribute": (call("_operator.attrgetter", name=PATH), "_operator.attrgetter is not served"),
    "method": (call("torch.ops.aten.name.upper"), "torch.ops.aten.name.upper is not served"),
    "dunder": (call("torch.ops.aten.__class__.__init__"), "aten.__class__.__init__ is not served"),
    "internal": (call("torch.ops.aten._nested_view_from_buffer.default", self=X), "_nested_view.* is not served"),
    "sparse": (call("torch.ops.aten.sparse_coo_tensor.indices", indices=X), "sparse_coo_tensor.* is not served"),
    "unwritten memory": (call("torch.ops.aten.empty.memory_format", size={"as_ints": [9]}), "empty.* is not served"),
    "branch": (
        call("torch.ops.higher_order.cond", true_graph=GRAPH),
        r"cond is not served; program.run_decompositions\(\) may",
    ),
    "dynamo": (call("torch._dynamo.optimize", backend=PATH), "torch._dynamo.optimize is not served"),
    "extension": (call("#evil:op", text=PATH), "#evil:op is not served"),
    "graph": (call("torch.ops.aten.relu.default", self=GRAPH), "arguments as_graph of .* are not served"),
    "operator": (call("torch.ops.aten.relu.default", self={"as_operator": "torch.os.system"}), "arguments as_operator"),
    "undefined": (call("torch.ops.aten.relu.default", self={"as_tensor": {"name": "later"}}), "before it is made"),
    "redefined": (call("torch.ops.aten.relu.default", X, self=X), "makes one again"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> bytes:
    file = exported(tmp_path_factory.mktemp("original") / "net.pt2", Net().eval(), torch.zeros(2, 3, 16, 16))
    program.read(file)  # the attacks alone are refused
    return file.read_bytes()


def refused(file, canary, message):
    with pytest.raises(ModelImportError, match=rf"\A(?=[^\n]*\Z).*{message}"):
        program.read(file)
    assert not canary.exists()


@pytest.mark.parametrize("attack", RUN_BY_TORCH)
def test_code_that_torch_would_run_is_refused(tmp_path, original, attack, monkeypatch):
    file, canary = tmp_path / "net.pt2", tmp_path / "canary"
    file.write_bytes(original)
    monkeypatch.syspath_prepend(tmp_path)
    change, message = RUN_BY_TORCH[attack]
    change(file, canary)
    refused(file, canary, message)
    try:  # else this test would prove nothing
        torch.export.load(file).module()(torch.zeros(2, 3, 16, 16))
    except Exception as exc:
        print("after the canary, torch fails:", exc)
    sys.modules.pop("canary_module", None)
    assert canary.exists()


@pytest.mark.parametrize("attack", OTHERS)
def test_what_could_be_code_is_refused(tmp_path, original, attack):
    file = tmp_path / "net.pt2"
    file.write_bytes(original)
    change, message = OTHERS[attack]
    change(file, tmp_path / "canary")
    refused(file, tmp_path / "canary", message)
