"""Backups: what is in them, and that a restore loses nothing of either side."""

import json
import sqlite3
import stat
import tarfile
from contextlib import closing

import pytest

from marina.errors import MarinaError
from marina.serving import backup
from marina.settings import Settings


def bundle(root, text: str) -> Settings:
    """A bundle whose files all hold `text`."""
    settings = Settings(var=root / "var", store=root / "store", config=root / "config.properties")
    for name in ("state/models.json", "keys/signing.pem", "gallery/faces.db", "experiments.json", "run/instance.json"):
        path = settings.var / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} {text}")
    settings.store.mkdir()
    (settings.store / "m-1.0.mar").write_text(f"archive {text}")
    (settings.store / "m-1.0.mar.sig").write_text(f"signature {text}")
    settings.config.write_text(f"# {text}")
    with closing(sqlite3.connect(settings.var / "experiments.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (?)", (text,))
        database.commit()
    return settings


def rows(settings: Settings) -> list[tuple[str]]:
    with closing(sqlite3.connect(settings.var / "experiments.db")) as database:
        return database.execute("SELECT x FROM t").fetchall()


def test_a_backup_brings_a_bundle_to_another_host(tmp_path):
    (tmp_path / "here").mkdir()
    here = bundle(tmp_path / "here", "one")
    file = tmp_path / "backups" / "b.tar.gz"
    members = backup.create(here, file, archives=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "var/run/instance.json" not in members
    place = tmp_path / "there"
    there = Settings(var=place / "var", store=place / "store", config=place / "config.properties")
    assert backup.restore(there, file) is None
    assert rows(there) == [("one",)]
    for name in ("state/models.json", "keys/signing.pem", "gallery/faces.db", "experiments.json"):
        assert (there.var / name).read_text() == f"{name} one"
    assert stat.S_IMODE((there.var / "keys" / "signing.pem").stat().st_mode) == 0o600
    assert (there.store / "m-1.0.mar.sig").read_text() == "signature one"
    assert (place / "config.properties").read_text() == "# one"


def test_the_database_is_copied_as_of_one_moment_while_others_write(tmp_path):
    here = bundle(tmp_path, "one")
    with closing(sqlite3.connect(here.var / "experiments.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES ('half')")
        backup.create(here, tmp_path / "b.tar.gz", archives=False)
        writer.execute("COMMIT")
    (here.var / "experiments.db").unlink()
    backup.restore(here, tmp_path / "b.tar.gz")
    assert rows(here) == [("one",)]


def test_what_a_restore_replaces_is_moved_aside(tmp_path):
    here = bundle(tmp_path, "one")
    backup.create(here, tmp_path / "b.tar.gz", archives=True)
    (here.var / "state" / "models.json").write_text("two")
    (here.var / "state" / "new.json").write_text("new")
    aside = backup.restore(here, tmp_path / "b.tar.gz")
    assert (here.var / "state" / "models.json").read_text() == "state/models.json one"
    assert (aside / "var" / "state" / "models.json").read_text() == "two"
    assert (here.var / "state" / "new.json").read_text() == "new"
    assert not (aside / "var" / "keys").exists(), "what is the same stays"


def test_archives_are_left_out_on_request(tmp_path):
    members = backup.create(bundle(tmp_path, "one"), tmp_path / "b.tar.gz", archives=False)
    assert [name for name in members if name.startswith("store/")] == []


def test_a_backup_is_never_overwritten(tmp_path):
    here = bundle(tmp_path, "one")
    (tmp_path / "b.tar.gz").write_text("older")
    with pytest.raises(MarinaError, match="exists: give another name"):
        backup.create(here, tmp_path / "b.tar.gz", archives=True)
    assert (tmp_path / "b.tar.gz").read_text() == "older"


def damaged(file) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def no_backup(file) -> None:
    file.write_text("not a tar file")


def changed(file) -> None:
    rewrite(file, {"var/state/models.json": b"forged"}, {})


def outside(file) -> None:
    rewrite(file, {"var/../../x": b"x"}, {"var/../../x": "00"})


def rewrite(file, contents: dict[str, bytes], digests: dict[str, str]) -> None:
    """Replace members, and entries of the manifest."""
    with tarfile.open(file) as tar:
        members = {info.name: tar.extractfile(info).read() for info in tar.getmembers()}
    manifest = json.loads(members.pop(backup.MANIFEST)) | digests
    with tarfile.open(file, "w:gz") as tar:
        for name, content in {**members, **contents}.items():
            backup._add(tar, name, content)
        backup._add(tar, backup.MANIFEST, json.dumps(manifest).encode())


@pytest.mark.parametrize("harm", [damaged, no_backup, changed, outside])
def test_nothing_is_changed_by_a_file_that_is_no_whole_backup(tmp_path, harm):
    (tmp_path / "in").mkdir()
    here = bundle(tmp_path / "in", "one")
    backup.create(here, tmp_path / "b.tar.gz", archives=True)
    harm(tmp_path / "b.tar.gz")
    (here.var / "state" / "models.json").write_text("two")
    with pytest.raises(MarinaError, match="nothing was changed"):
        backup.restore(here, tmp_path / "b.tar.gz")
    assert (here.var / "state" / "models.json").read_text() == "two"
    assert not (tmp_path / "x").exists()
    assert list(here.var.glob("replaced-*")) == []
