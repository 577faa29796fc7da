"""The commands pack, sign, verify, export and zoo: their output, and their errors."""

import json
import zipfile
from pathlib import Path

import pytest
import typer

from marina.cli import packaging
from marina.errors import MarinaError, PackagingError
from marina.packaging import build, export, zoo
from marina.packaging.sign import sign
from marina.packaging.verify import NotVerifiedError, verify
from marina.training.quantization_data import TrainingData


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_archive(file: Path, name: str = "m", version: str = "1.0") -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": name, "modelVersion": version}}))
    return file


def test_pack_builds_one_model(monkeypatch, tmp_path, capsys):
    built = []

    def fake_build(*arguments) -> Path:
        built.append(arguments)
        file = tmp_path / "m.mar"
        file.write_bytes(bytes(2_340_000))
        return file

    monkeypatch.setattr(build, "build", fake_build)
    packaging.pack("cat")
    paths, data = (Path("artifacts"), Path("archive/store"), Path("var/keys")), TrainingData(Path("artifacts/cat/1.0"))
    assert built == [("cat", "1.0", *paths, "full", {}, False, data)]
    printed = capsys.readouterr().out.replace("\n", "")
    assert "archive cat 1.0, model 1 of 1" in printed
    assert "m.mar  2.3 MB, signed" in printed
    folders = (Path("a"), Path("s"), Path("k"))
    packaging.pack("cat", "2.0", packaging.Preset.quick, "3 of 7", *folders, floor=["f1=0.8"], accept=True)
    assert built[1] == ("cat", "2.0", *folders, "quick", {"f1": 0.8}, True, TrainingData(Path("a/cat/2.0")))
    assert "archive cat 2.0, model 3 of 7" in capsys.readouterr().out


def test_floor_and_accept_reach_the_packing(monkeypatch):
    seen = []
    monkeypatch.setattr(packaging.jobs, "run", lambda jobs, _: seen.extend(jobs))
    packaging.archive(["resnet18"], floor=["accuracy=0.9", "f1=0.8"], accept=True)
    words = " ".join(seen[-1].arguments)
    assert "--floor accuracy=0.9 --floor f1=0.8 --accept" in words
    assert not {"--floor", "--accept"} & set(seen[0].arguments), "training has no floors"
    with pytest.raises(PackagingError, match=r"^FLOOR=high: "):
        packaging.archive(["resnet18"], floor=["high"])


def test_a_foreign_archive_is_copied_and_signed(tmp_path):
    foreign = write_archive(tmp_path / "from-the-net.mar", "dog", "2.0")
    packaging.sign(foreign)
    signed = Path("archive/store/dog-2.0.mar")
    assert signed.read_bytes() == foreign.read_bytes()
    verify(signed, Path("var/keys/signing.pub"))
    packaging.sign(signed)  # in its place already


def test_a_file_that_is_no_archive_is_not_signed(tmp_path):
    (tmp_path / "x.mar").write_bytes(b"?")
    with pytest.raises(NotVerifiedError, match=r"^x\.mar: not a TorchServe archive \(File is not a zip file\)$"):
        packaging.sign(tmp_path / "x.mar")
    assert not Path("archive/store").exists()


def test_verify_checks_every_archive(capsys):
    with pytest.raises(MarinaError, match=r"^no archives in archive/store: `make archive` first$"):
        packaging.verify()
    Path("archive/store").mkdir(parents=True)
    for name in ("b", "a"):
        sign(write_archive(Path("archive/store") / f"{name}-1.0.mar", name), Path("var/keys"))
    with pytest.raises(typer.Exit) as accepted:
        packaging.verify()
    assert accepted.value.exit_code == 0
    assert capsys.readouterr().out == "ok      a-1.0.mar\nok      b-1.0.mar\n"
    Path("archive/store/a-1.0.mar").write_bytes(b"?")
    with pytest.raises(typer.Exit) as refused:
        packaging.verify()
    assert refused.value.exit_code == 1


def test_export_prints_the_difference_from_the_eager_network(monkeypatch, capsys):
    exported = []
    monkeypatch.setattr(export, "export", lambda *of: exported.append(of) or (Path("x.onnx"), 1.2e-6))
    packaging.export("cat", "onnx")
    assert exported == [(Path("artifacts/cat/1.0"), "onnx")]
    assert capsys.readouterr().out == "x.onnx: largest difference from the eager network 1.2e-06\n"
    with pytest.raises(MarinaError, match=r"^FORMAT=tflite: it is one of onnx, torchscript, torch_export$"):
        packaging.export("cat", "tflite")

    def refuse(*_) -> None:
        raise PackagingError("it stays")

    monkeypatch.setattr(export, "export", refuse)
    with pytest.raises(PackagingError, match=r"^it stays$"):
        packaging.export("cat", "onnx")


@pytest.mark.parametrize("problems", [[], ["a", "b"]])
def test_the_zoo_is_written_with_its_pictures(monkeypatch, problems):
    written = []
    monkeypatch.setattr(zoo, "write_page", lambda *of: written.append(of) or problems)
    monkeypatch.setattr(zoo, "write_pictures", lambda *of: written.append(of))
    if problems:
        with pytest.raises(MarinaError, match=r"^a\nb$"):
            packaging.zoo()
    else:
        packaging.zoo()
    folder = Path("docs")
    assert written == [(Path("artifacts"), "1.0", folder / "zoo.md"), (Path("artifacts"), "1.0", folder / "pictures")]
