"""Files of torch.export that are damaged, odd or of other versions: each ends in one clear line."""

import copy
import stat
import zipfile

import pytest
import torch
from torch import nn

from handlers.codecs.image import ImageCodec
from marina.errors import ModelImportError
from marina.packaging.imports import program
from tests.packaging.imports.test_exported_attacks import Net
from tests.support.exported_files import CONFIGS, PROGRAM, edit, edit_graph, edit_program, exported, members, rewrite

CODEC = ImageCodec(size=16, channels=3, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
IMAGES = torch.zeros(2, 3, 16, 16)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> bytes:
    return exported(tmp_path_factory.mktemp("original") / "net.pt2", Net(), IMAGES).read_bytes()


@pytest.fixture
def file(tmp_path, original):
    path = tmp_path / "net.pt2"
    path.write_bytes(original)
    return path


def plus(member, content):
    """Return a change that adds or replaces a member."""
    return lambda file: rewrite(file, {**members(file), member: content}.items())


def moved(file):
    edit(
        file,
        CONFIGS["weights"],
        lambda c: next(iter(c["config"].values()))["tensor_meta"].update(storage_offset={"as_int": 1 << 40}),
    )


def old(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("version", "8.3")
        archive.writestr("serialized_exported_program.json", "{}")


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
    exported(file, nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), IMAGES, dynamic=False)


def dropped(key):
    return lambda file: edit_graph(file, lambda graph: graph.pop(key))


def batch_of(size):
    return lambda file: edit_graph(file, lambda g: g["tensor_values"]["x"]["sizes"].__setitem__(0, {"as_int": size}))


FILES = {
    "native code": (
        plus("data/aotinductor/model/a.so", b"\x7fELF"),
        r"compiled native code \(AOTInductor\), which nothing can check: save the exported program",
    ),
    "schema": (
        lambda file: edit_program(file, lambda p: p["schema_version"].update(major=9)),
        r"version 9\.\d+ \(torch",
    ),
    "torch 2.7": (
        old,
        "as torch 2.7",
    ),
    "two programs": (plus("models/other.json", b"{}"), "it holds 2 programs"),
    "two inputs": (two_inputs, "it has 2 inputs"),
    "half": (half, "it takes torch.float16; export it with float32 inputs"),
    "training": (training, r"exported for training: export it after network.eval\(\)"),
    "size": (
        lambda file: exported(file, Net(), torch.zeros(2, 3, 16, 20)),
        "takes N x 3 x 16 x 20, not 1 x 3 x 16 x 16",
    ),
    "batch": (batch_of("x"), "is refused: it takes x x 3 x 16 x 16"),
    "no weights": (plus("data/weights/weight_0", b""), "without content"),
    "odd weights": (plus("data/weights/weight_0", b"123"), "no program of torch.export"),
    "missing weights": (missing, "no program of torch.export: KeyError"),
    "out of bounds": (moved, "no program of torch.export: RuntimeError"),
    "no nodes": (dropped("nodes"), "no program of torch.export: KeyError"),
    "no outputs": (dropped("outputs"), "no program of torch.export: KeyError"),
    "no JSON": (plus(PROGRAM, b"{"), "is refused: Expecting"),
    "deep JSON": (plus(PROGRAM, b"[" * 10**6), "RecursionError"),
    "no object": (plus(PROGRAM, b"[]"), "no program of torch.export"),
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
    "path": (plus("../../evil", b""), "leaves the folder"),
    "link": (link, "it is a link"),
    "unknown member": (
        plus("code/a.py", b""),
        "'code/a.py' is none that",
    ),
    "other format": (plus("archive_format", b"pt3"), "no pt2 archive"),
    "big-endian": (plus("byteorder", b"big"), "little-endian"),
}


@pytest.mark.parametrize("case", FILES)
def test_other_files_are_one_clear_line(file, case):
    change, message = FILES[case]
    change(file)
    with pytest.raises(ModelImportError, match=rf"\A(?=[^\n]*\Z).*{message}"):
        program.fit(program.read(file), CODEC, None, "labels.txt")


def test_a_damaged_file_is_one_line_wherever_it_is_cut(file, original):
    for size in range(0, len(original), len(original) // 40):
        file.write_bytes(original[:size])
        with pytest.raises(ModelImportError, match=r"\A[^\n]*\Z"):
            program.fit(program.read(file), CODEC, None, "labels.txt")
