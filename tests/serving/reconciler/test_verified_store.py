"""Verified copies of archives: what was verified is what is served."""

import os
import stat

import pytest

from marina.packaging.verify import NotVerifiedError, signature_of
from marina.serving.reconciler import verified_store
from marina.serving.reconciler.model_store import Archive
from tests.serving.archive_files import write_mar


@pytest.fixture
def archive(settings) -> Archive:
    return Archive("cat", "1.0", write_mar(settings, "cat"))


def test_the_copy_is_the_owners_alone_and_has_bytes_of_its_own(settings, archive):
    copy = verified_store.admit(settings, archive)
    assert copy == verified_store.copy_of(settings, archive)
    assert copy.path == settings.verified / "cat-1.0.mar"
    assert copy.path.read_bytes() == archive.path.read_bytes()
    assert not copy.path.samefile(archive.path)
    assert stat.S_IMODE(settings.verified.stat().st_mode) == 0o700
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600
    assert {path.name for path in settings.verified.iterdir()} == {"cat-1.0.mar", "cat-1.0.mar.sig"}


def test_a_swap_after_verification_is_not_served(settings, archive):
    good = archive.path.read_bytes()
    verified_store.admit(settings, archive)
    with archive.path.open("r+b") as file:  # in place, where a hard link would change too
        file.write(b"swapped")
    assert verified_store.admitted(settings, archive).path.read_bytes() == good


def test_a_swap_between_copy_and_verification_is_refused(settings, archive, monkeypatch):
    verify = Archive.verify

    def swap_then_verify(copy: Archive, keys) -> None:
        archive.path.write_bytes(b"swapped")
        verify(copy, keys)

    good = archive.path.read_bytes()
    monkeypatch.setattr(Archive, "verify", swap_then_verify)
    assert verified_store.admit(settings, archive).path.read_bytes() == good


def test_an_archive_that_does_not_verify_is_not_admitted_and_its_copy_goes(settings, archive):
    copy = verified_store.admit(settings, archive)
    archive.path.write_bytes(archive.path.read_bytes() + b"x")
    with pytest.raises(NotVerifiedError, match=r"^cat-1\.0\.mar: signature mismatch"):
        verified_store.admit(settings, archive)
    assert list(settings.verified.iterdir()) == []
    with pytest.raises(NotVerifiedError):
        verified_store.admitted(settings, archive)
    assert not copy.path.exists()


def test_the_advice_to_sign_names_the_archive_in_the_store(settings, archive):
    signature_of(archive.path).unlink()
    with pytest.raises(NotVerifiedError) as refused:
        verified_store.admit(settings, archive)
    assert str(refused.value).endswith(f"`make sign MAR={archive.path}`")


def test_a_full_disk_is_a_reason(settings, archive, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(verified_store, "copy_file", full)
    with pytest.raises(NotVerifiedError, match=r"^cat-1\.0\.mar: it can't be copied to .*No space left on device"):
        verified_store.admit(settings, archive)
    assert [path for path in settings.var.iterdir() if path.name.startswith(".admitted")] == []


def test_a_copy_that_lost_its_key_is_refused(settings, archive):
    verified_store.admit(settings, archive)
    for key in settings.keys.glob("*.pub"):
        key.unlink()
    with pytest.raises(NotVerifiedError, match="no public key"):
        verified_store.admitted(settings, archive)


def test_copies_of_what_is_not_served_are_removed(settings, archive):
    dog = Archive("dog", "1.0", write_mar(settings, "dog"))
    for each in (archive, dog):
        verified_store.admit(settings, each)
    verified_store.keep_only(settings, {"dog-1.0.mar"})
    assert {path.name for path in settings.verified.iterdir()} == {"dog-1.0.mar", "dog-1.0.mar.sig"}


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_archive_that_cannot_be_read_is_refused(settings, archive):
    archive.path.chmod(0)
    with pytest.raises(NotVerifiedError, match="can't be copied"):
        verified_store.admit(settings, archive)
