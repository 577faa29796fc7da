"""Programs of torch.export: equal to torch's own answer, and one clear line for files that are not served."""

import copy
import hashlib
import stat
import threading
import zipfile

import pytest
import torch
from torch import nn

from handlers.codecs.image import ImageCodec
from marina.errors import ModelImportError
from marina.packaging.imports import program
from models.parts import exported_program
from tests.support.exported_files import CONFIGS, PROGRAM, edit, edit_graph, edit_program, exported, members, rewrite

CODEC = ImageCodec(size=16, channels=3, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
IMAGES = torch.zeros(2, 3, 16, 16)


class Net(nn.Module):
    """A network with much of what a graph can hold: writes in place, several outputs, lists, sizes, types, constants,
    shared weights, a buffer that is a view, and weights in channels_last.
    """

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, bias=False).to(memory_format=torch.channels_last)
        self.norm, self.drop = nn.BatchNorm2d(8), nn.Dropout(0.5)
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.fc = nn.Linear(8, 5)
        self.register_buffer("shift", torch.arange(16.0).reshape(2, 8).t(), persistent=False)

    def forward(self, x):
        x = self.norm(self.stem(x.sub_(0.5))).relu_()
        left, right = x.chunk(2, dim=1)
        x = torch.cat([right, left], dim=1).masked_fill(x > 9, float("inf")).clamp(max=3.0)
        x = nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
        x = x.flatten(2).transpose(1, 2)
        x = nn.functional.scaled_dot_product_attention(x, x, x)
        x = x.reshape(x.shape[0] * x.shape[1], -1)
        x = self.second(self.first(x.to(torch.float64).float())) + self.shift[:, 1] + torch.tensor([1.0])
        x = x.reshape(-1, 7 * 7, 8).topk(3, dim=1)[0].mean(dim=1)
        return {"logits": self.fc(self.drop(x)), "features": [x, None]}


def fit(file):
    return program.fit(program.read(file), CODEC, None, "labels.txt")


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> bytes:
    return exported(tmp_path_factory.mktemp("original") / "net.pt2", Net().eval(), IMAGES).read_bytes()


@pytest.fixture
def file(tmp_path, original):
    path = tmp_path / "net.pt2"
    path.write_bytes(original)
    return path


def test_outputs_are_those_of_torch(file):
    fitted, own = fit(file), torch.export.load(file).module()
    assert (fitted.head, "batch" in fitted.arguments) == ("torch.export, output 0 of 3", False)
    for size in (1, 2, 5):
        images = torch.randn(size, 3, 16, 16)
        assert torch.allclose(fitted.network(images), own(images.clone())["logits"], atol=1e-6)


def test_batches_of_a_fixed_size_are_filled(tmp_path):
    fitted = fit(exported(tmp_path / "net.pt2", Net().eval(), IMAGES, dynamic=False))
    assert fitted.head == "torch.export, output 0 of 3, batches of 2"
    for size in (1, 3):
        images = torch.randn(size, 3, 16, 16)
        assert torch.allclose(fitted.network(images), Net().eval()(images.clone())["logits"], atol=1e-5)


def test_operators_of_decomposed_programs_are_served():
    overloads = torch._C._dispatch_get_all_op_names()
    for name in exported_program.INTERNAL:
        found = [each for each in overloads if each.partition(".")[0] == f"aten::{name}"]
        overload = found[0].partition(".")[2] or "default"
        assert exported_program.found(f"torch.ops.aten.{name}.{overload}")


def test_a_program_is_opened_when_it_runs_and_serves_threads_and_copies(file):
    network = fit(file).network
    assert network._run is None  # a worker opens it after the fork
    batches = [torch.randn(2, 3, 16, 16) for _ in range(4)]
    expected = [network(batch) for batch in batches]
    found = {}
    served = copy.deepcopy(network)
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: [served(batches[n]) for _ in range(5)]})) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(each, expected[n]) for n, answers in found.items() for each in answers)
    assert len(found) == 4


def test_the_images_of_a_caller_stay(file):
    images = torch.ones(1, 3, 16, 16)
    fit(file).network.outputs(images)
    assert torch.equal(images, torch.ones(1, 3, 16, 16))


def test_the_origin_is_the_file_and_what_is_not_run_stays_behind(file):
    read = program.read(file)
    assert read.checkpoint.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert b"stack_trace" not in read.content
    assert b"PK" not in read.content[:2]


def moved(file):
    edit(
        file,
        CONFIGS["weights"],
        lambda c: next(iter(c["config"].values()))["tensor_meta"].update(storage_offset={"as_int": 1 << 40}),
    )


def native(file):
    rewrite(file, {**members(file), "data/aotinductor/model/a.so": b"\x7fELF"}.items())


def emptied(file):
    rewrite(file, {**members(file), "data/weights/weight_0": b""}.items())


def odd(file):
    rewrite(file, {**members(file), "data/weights/weight_0": b"123"}.items())


def missing(file):
    found = members(file)
    del found["data/weights/weight_0"]
    rewrite(file, found.items())


def twice(file):
    with pytest.warns(UserWarning, match="Duplicate name"):
        rewrite(file, [*members(file).items(), ("byteorder", b"little")])


def link(file):
    with zipfile.ZipFile(file, "a") as archive:
        info = zipfile.ZipInfo("net/data/weights/weight_99")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")


def overlapping(file):
    """Let the directory name one member many times, under other names."""
    with zipfile.ZipFile(file, "a") as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
        for number in range(20):
            same = copy.copy(largest)
            same.filename = f"net/extra/{number}"
            archive.filelist.append(same)
        archive._didModify = True


def two_inputs(file):
    class Two(nn.Module):
        def forward(self, x, y):
            return x.amax(dim=(2, 3)) + y.amax(dim=(2, 3))

    torch.export.save(torch.export.export(Two(), (IMAGES, IMAGES)), file)


def half(file):
    exported(file, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()).half(), IMAGES.half())


def training(file):
    exported(file, Net().train(), IMAGES, dynamic=False)


def two_programs(file):
    rewrite(file, {**members(file), "models/other.json": b"{}"}.items())


def dropped(key):
    return lambda file: edit_graph(file, lambda graph: graph.pop(key))


def batch_of(size):
    return lambda file: edit_graph(file, lambda g: g["tensor_values"]["x"]["sizes"].__setitem__(0, {"as_int": size}))


FILES = {
    "native code": (
        native,
        r"compiled native code \(AOTInductor\), which nothing can check: save the exported program",
    ),
    "schema": (lambda file: edit_program(file, lambda p: p["schema_version"].update(major=9)), r"version 9.20 \(torch"),
    "torch 2.7": (
        lambda file: zipped(file, {"version": b"8.3", "serialized_exported_program.json": b"{}"}),
        "as torch 2.7",
    ),
    "two programs": (two_programs, "it holds 2 programs"),
    "two inputs": (two_inputs, "it has 2 inputs"),
    "half": (half, "it takes torch.float16; export it with float32 inputs"),
    "training": (training, r"exported for training: export it after network.eval\(\)"),
    "size": (
        lambda file: exported(file, Net().eval(), torch.zeros(2, 3, 16, 20)),
        "takes N x 3 x 16 x 20, not 1 x 3 x 16 x 16",
    ),
    "batch": (batch_of("x"), "is refused: it takes x x 3 x 16 x 16"),
    "no weights": (emptied, "without content"),
    "odd weights": (odd, "no program of torch.export"),
    "missing weights": (missing, "no program of torch.export: KeyError"),
    "out of bounds": (moved, "no program of torch.export: RuntimeError"),
    "no nodes": (dropped("nodes"), "no program of torch.export: KeyError"),
    "no outputs": (dropped("outputs"), "no program of torch.export: KeyError"),
    "no JSON": (lambda file: rewrite(file, {**members(file), PROGRAM: b"{"}.items()), "is refused: Expecting"),
    "deep JSON": (lambda file: rewrite(file, {**members(file), PROGRAM: b"[" * 10**6}.items()), "RecursionError"),
    "no object": (lambda file: rewrite(file, {**members(file), PROGRAM: b"[]"}.items()), "no program of torch.export"),
    "bomb": (
        lambda file: rewrite(file, {**members(file), "extra/a": bytes(1 << 20)}.items(), zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "overlapping": (overlapping, "overlap"),
    "damaged name": (
        lambda file: file.write_bytes(file.read_bytes().replace(b"byteorder", b"byte\xca\xca\xca\xca\xca")),
        "damaged",
    ),
    "twice": (twice, "another file has this name"),
    "path": (lambda file: rewrite(file, {**members(file), "../../evil": b""}.items()), "leaves the folder"),
    "link": (link, "it is a link"),
    "unknown member": (
        lambda file: rewrite(file, {**members(file), "code/a.py": b""}.items()),
        "'code/a.py' is none that",
    ),
    "other format": (lambda file: rewrite(file, {**members(file), "archive_format": b"pt3"}.items()), "no pt2 archive"),
    "big-endian": (lambda file: rewrite(file, {**members(file), "byteorder": b"big"}.items()), "little-endian"),
}


def zipped(file, content):
    with zipfile.ZipFile(file, "w") as archive:
        for name, each in content.items():
            archive.writestr(name, each)


@pytest.mark.parametrize("case", FILES)
def test_other_files_are_one_clear_line(file, case):
    change, message = FILES[case]
    change(file)
    with pytest.raises(ModelImportError, match=rf"\A(?=[^\n]*\Z).*{message}"):
        fit(file)


def test_a_damaged_file_is_one_line_wherever_it_is_cut(file, original):
    for size in range(0, len(original), len(original) // 40):
        file.write_bytes(original[:size])
        with pytest.raises(ModelImportError, match=r"\A[^\n]*\Z"):
            fit(file)
