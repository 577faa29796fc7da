"""Archives of another team: what they contain is shown, and nothing enters the store that must not be unpacked."""

import json
import stat
import zipfile
from pathlib import Path

import pytest

from marina.cli import import_archive
from marina.errors import ModelImportError, WeightsExistError
from marina.packaging.imports import archive_contents, foreign_archive
from marina.packaging.verify import PUBLIC, identity, manifest_of, verify
from tests.packaging.imports.test_imports import one_line

HANDLER = "open('ran', 'w')\n"
MODEL = {"modelName": "theirs", "modelVersion": "3.0", "handler": "handler.py", "requirementsFile": "requirements.txt"}
FILES = {
    "handler.py": HANDLER,
    "weights.pth": "x" * 1000,
    "requirements.txt": "# ours\nnumpy>=1\n\nregex\n",
    "a/b.txt": "",
}


def mar(folder: Path, model=MODEL, members=(), **files: str | None) -> Path:
    """Write an archive; `files` replace those of FILES, `members` are added as they are."""
    file = folder / "their.mar"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("MAR-INF/MANIFEST.json", model if isinstance(model, str) else json.dumps({"model": model}))
        for name, text in (FILES | {name.replace("__", "."): text for name, text in files.items()}).items():
            if text is not None:
                archive.writestr(name, text)
        for info, text in members:
            archive.writestr(info, text)
    return file


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def run(folder: Path, file: Path, acknowledged: str | None, name="ours", version="1.0", replace=False) -> None:
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "lenet.py").touch()
    places = [folder / each for each in ("store", "keys", "models")]
    import_archive.import_archive(name, file, version, acknowledged, replace, *places)


def test_an_archive_enters_the_store_once_its_hash_is_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = mar(tmp_path)
    contents = archive_contents.inspect(file)
    with pytest.raises(ModelImportError, match=one_line(f"--sign {contents.sha256[:12]}")):
        run(tmp_path, file, None)
    shown = capsys.readouterr().out
    for words in (contents.sha256, "theirs 3.0, handler handler.py", f"handler.py  {len(HANDLER)} bytes, code", "a/b"):
        assert words in shown
    assert "weights.pth  1,000 bytes, pickle or program" in shown
    assert "does not install: numpy>=1, regex" in shown
    for wrong in (contents.sha256[:11], "0" * 12, ""):
        with pytest.raises(ModelImportError, match=one_line("sign for the file that you reviewed")):
            run(tmp_path, file, wrong)
    assert not (tmp_path / "store").exists()
    run(tmp_path, file, contents.sha256)
    made = tmp_path / "store" / "ours-1.0.mar"
    verify(made, tmp_path / "keys" / PUBLIC)
    assert identity(made) == ("ours", "1.0")
    assert manifest_of(made) == MODEL | {"modelName": "ours", "modelVersion": "1.0"}
    with zipfile.ZipFile(made) as archive:
        assert {name: archive.read(name).decode() for name in FILES} == FILES
    assert json.loads(foreign_archive.record_of(made).read_text())["sha256"] == contents.sha256
    assert not (tmp_path / "ran").exists(), "no code of the archive ran"
    run(tmp_path, file, contents.sha256[:12], "theirs", "3.0")
    assert (tmp_path / "store" / "theirs-3.0.mar").read_bytes() == file.read_bytes()


def test_nothing_in_the_store_is_overwritten(tmp_path):
    file = mar(tmp_path)
    digits = archive_contents.inspect(file).sha256[:12]
    run(tmp_path, file, digits)
    with pytest.raises(WeightsExistError, match=one_line("exists: another --version imports beside it")):
        run(tmp_path, file, digits)
    other = mar(tmp_path, weights__pth="y")
    run(tmp_path, other, archive_contents.inspect(other).sha256, replace=True)
    foreign_archive.record_of(tmp_path / "store" / "ours-1.0.mar").unlink()
    with pytest.raises(WeightsExistError, match=one_line("no import put it there")):
        run(tmp_path, other, None, replace=True)
    with pytest.raises(ModelImportError, match=one_line("models/lenet.py exists")):
        run(tmp_path, file, digits, "lenet")


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("../x.py", "'../x.py': its path leaves"),
        ("/etc/x", "'/etc/x': its path leaves"),
        ("a/../../x", "its path leaves"),
        ("C:\\x", "its path leaves"),
        ("\x1b[2Jx", "its path leaves"),
        (link("weights"), "'weights': it is a link or a device"),
        ("handler.py/x.py", "another file has this name, or that of its folder"),
    ],
)
def test_members_that_must_not_be_unpacked_are_refused(tmp_path, member, message):
    file = mar(tmp_path, members=[(member, "")])
    with pytest.raises(ModelImportError, match=one_line("their.mar is refused for its member .*")) as refused:
        archive_contents.inspect(file)
    assert message in str(refused.value).replace("\\\\", "\\")


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        file = mar(tmp_path, members=[("handler.py", "other")])
    with pytest.raises(ModelImportError, match=one_line("'handler.py': another file has this name")):
        archive_contents.inspect(file)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "{"}, "MANIFEST.json is no JSON"),
        ({"model": "[]"}, "needs `model` with modelName, modelVersion, handler"),
        ({"model": MODEL | {"handler": 3}}, "needs `model` with"),
        ({"model": MODEL | {"handler": "other.py:run"}}, "its handler 'other.py:run' is neither in it nor one of"),
        ({"model": MODEL | {"serializedFile": "w.pt"}}, "names the serializedFile 'w.pt', which it lacks"),
        ({"handler__py": None}, "its handler 'handler.py' is neither in it"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path, changed, message):
    with pytest.raises(ModelImportError, match=one_line(message)):
        archive_contents.inspect(mar(tmp_path, **changed))


def test_handlers_of_torchserve_and_functions_are_accepted(tmp_path):
    for handler, shown in (("image_classifier", "image_classifier, of TorchServe"), ("handler:run", "handler:run")):
        assert archive_contents.inspect(mar(tmp_path, MODEL | {"handler": handler})).handler == shown


def test_damaged_and_oversized_archives_are_refused(tmp_path, monkeypatch):
    file = mar(tmp_path)
    whole = file.read_bytes()
    place = whole.index(b"weights.pth") + 15
    for content in (whole[:-200], b"", b"none", whole[:place] + b"\xff\xff" + whole[place + 2 :]):
        file.write_bytes(content)
        with pytest.raises(ModelImportError, match=one_line("their.mar is truncated, damaged, or no TorchServe arch")):
            archive_contents.inspect(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "")
    with pytest.raises(ModelImportError, match=one_line("has no MAR-INF/MANIFEST.json")):
        archive_contents.inspect(file)
    with pytest.raises(ModelImportError, match=one_line("no file")):
        archive_contents.inspect(tmp_path / "none.mar")
    file = mar(tmp_path, weights__pth="0" * 10_000_000)
    assert archive_contents.inspect(file)
    monkeypatch.setattr(archive_contents, "RATIO_FROM", 1_000_000)
    with pytest.raises(ModelImportError, match=one_line("times its size: a zip bomb")):
        archive_contents.inspect(file)
    monkeypatch.setattr(archive_contents, "MAX_UNPACKED", 1_000)
    with pytest.raises(ModelImportError, match=one_line("a zip bomb")):
        archive_contents.inspect(file)
    monkeypatch.setattr(archive_contents, "MAX_FILES", 3)
    with pytest.raises(ModelImportError, match=one_line("has 5 files, over the limit of 3")):
        archive_contents.inspect(file)
