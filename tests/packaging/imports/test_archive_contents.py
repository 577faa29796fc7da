"""Archives of another team: their record, word for word, and the members that TorchServe could not unpack."""

import json
import zipfile
from types import SimpleNamespace

import pytest

from marina.errors import ModelImportError
from marina.packaging.imports import archive_contents, foreign_archive
from tests.packaging.imports.test_foreign_archive import MODEL, mar


def test_the_origin_of_an_archive_is_recorded(tmp_path):
    file = mar(tmp_path, MODEL | {"description": "mod\u00e8le"})
    contents = archive_contents.inspect(file)
    made = foreign_archive.import_as(
        "ours", "1.0", contents, tmp_path / "a" / "store", tmp_path / "keys", replace=False
    )
    assert sorted(path.name for path in made.parent.iterdir() if not path.name.startswith("ours-1.0.mar")) == []
    text = foreign_archive.record_of(made).read_text(encoding="utf-8")
    assert "mod\u00e8le" in text
    assert text.endswith("}\n")
    assert '\n "file": ' in text
    origin = json.loads(text)
    assert origin.pop("imported_at").endswith("+00:00")
    model = MODEL | {"description": "mod\u00e8le"}
    assert origin == {"file": "their.mar", "sha256": contents.sha256, "model": model}
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(made) as after:
        assert [info.date_time for info in after.infolist()] == [info.date_time for info in before.infolist()]


def test_an_archive_that_changes_while_it_is_read_is_refused(tmp_path):
    file = mar(tmp_path)
    contents = archive_contents.inspect(file)
    mar(tmp_path, weights__pth="other")
    with pytest.raises(ModelImportError) as refused:
        foreign_archive.import_as("ours", "1.0", contents, tmp_path / "store", tmp_path / "keys", replace=False)
    assert str(refused.value) == f"{file} was changed while it was read: import it again"
    assert list((tmp_path / "store").iterdir()) == []


def test_an_archive_without_requirements_says_so(tmp_path):
    model = {name: value for name, value in MODEL.items() if name != "requirementsFile"}
    contents = archive_contents.inspect(mar(tmp_path, model))
    assert contents.lines()[-1] == "requirements, which Marina does not install: none"
    (tmp_path / "latin").mkdir()
    other = mar(tmp_path / "latin", members=[], requirements__txt=None)
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("requirements.txt", b"regex\xff\n")
    assert archive_contents.inspect(other).requirements == ["regex\ufffd"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"flag_bits": 1}, "it is encrypted"),
        ({"compress_type": zipfile.ZIP_LZMA}, "its compression is neither stored nor deflate"),
        ({"external_attr": 0o020666 << 16}, "it is a link or a device"),
        ({"external_attr": 0o100644 << 16}, ""),
        ({"external_attr": 0o040755 << 16}, ""),
    ],
)
def test_members_are_plain_files_that_java_can_read(changed, problem):
    info = zipfile.ZipInfo("weights")
    for name, value in changed.items():
        setattr(info, name, value)
    file = SimpleNamespace(name="m.mar", stat=lambda: SimpleNamespace(st_size=1))
    if not problem:
        archive_contents.check_members(file, [info])
        return
    with pytest.raises(ModelImportError) as refused:
        archive_contents.check_members(file, [info])
    assert str(refused.value) == f"m.mar is refused for its member 'weights': {problem}"


def test_the_share_of_a_zip_bomb_is_of_the_packed_size():
    info = zipfile.ZipInfo("weights")
    info.file_size = 300 << 20

    def check(packed: int) -> None:
        file = SimpleNamespace(name="m.mar", stat=lambda: SimpleNamespace(st_size=packed))
        archive_contents.check_members(file, [info])

    check(info.file_size // archive_contents.MAX_RATIO)
    with pytest.raises(ModelImportError, match="201 times its size: a zip bomb"):
        check(info.file_size // 201)
