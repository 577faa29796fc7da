"""Names, signatures and keys of archives: what is signed, what verification rejects, and how keys are stored."""

import json
import stat
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

from marina.packaging import sign as signing
from marina.packaging import verify
from marina.packaging.verify import NotVerifiedError, identity


@pytest.mark.parametrize("name", ["m.mar", "-1.0.mar", "m-.mar", "m-1.0.zip", "m-1.0"])
def test_a_file_name_without_name_and_version_is_rejected(name):
    with pytest.raises(NotVerifiedError) as refused:
        identity(Path("/x") / name)
    assert str(refused.value) == f"{name}: the name is not <name>-<version>.mar"


def test_the_version_follows_the_last_dash_of_the_file_name():
    assert identity(Path("/x/my-model-1.0.mar")) == ("my-model", "1.0")


@pytest.fixture
def signed(tmp_path) -> tuple[Path, Path]:
    """A signed archive that contains only a manifest, and its public key."""
    archive = write_archive(tmp_path, {"model": {"modelName": "m", "modelVersion": "1.0"}})
    signing.sign(archive, tmp_path / "keys")
    return archive, tmp_path / "keys" / "signing.pub"


def write_archive(folder: Path, manifest) -> Path:
    archive = folder / "m-1.0.mar"
    with zipfile.ZipFile(archive, "w") as mar:
        mar.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
    return archive


def test_a_signature_is_one_line_of_base64_beside_the_archive(signed):
    archive, _ = signed
    signature = verify.signature_of(archive)
    assert signature == archive.parent / "m-1.0.mar.sig"
    assert signature.read_bytes().count(b"\n") == 1
    assert signature.read_bytes().endswith(b"==\n")
    assert verify.verify(*signed) == signed[1]


def test_the_signed_statement_is_stable(signed):
    """An archive that was signed by an earlier version of Marina must still verify."""
    archive, _ = signed
    archive.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert verify.statement(archive) == b'{"name": "m", "sha256": "%s", "version": "1.0"}' % digest.encode()


def rejection(archive: Path, key: Path) -> str:
    """Return the message of the error that verification raises."""
    with pytest.raises(NotVerifiedError) as refused:
        verify.verify(archive, key)
    return str(refused.value)


def test_each_error_names_the_archive_and_the_reason(signed, tmp_path):
    archive, key = signed
    assert rejection(tmp_path / "n-1.0.mar", key) == "n-1.0.mar: no such archive"
    assert rejection(archive, tmp_path / "no.pub") == f"m-1.0.mar: no public key at {tmp_path}/no.pub"
    other = tmp_path / "other.pub"
    other.write_bytes(
        x25519.X25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    assert rejection(archive, other) == f"m-1.0.mar: {other} is not an Ed25519 key"
    verify.signature_of(archive).write_bytes(verify.signature_of(archive).read_bytes().replace(b"==", b"=!="))
    assert rejection(archive, key) == "m-1.0.mar: signature mismatch; it was changed or renamed"
    verify.signature_of(archive).unlink()
    assert rejection(archive, key) == f"m-1.0.mar: it is not signed; if you trust it, `make sign MAR={archive}`"


@pytest.mark.parametrize(
    "manifest", [{}, {"model": {"modelName": "m"}}, {"model": {"modelName": "n", "modelVersion": "1.0"}}]
)
def test_a_signed_archive_whose_manifest_differs_from_its_name_is_rejected(tmp_path, manifest):
    archive = write_archive(tmp_path, manifest)
    signing.sign(archive, tmp_path / "keys")
    reason = rejection(archive, tmp_path / "keys" / "signing.pub")
    if manifest:
        assert reason == "m-1.0.mar: its manifest names another model or version"
    else:
        assert reason == "m-1.0.mar: not a TorchServe archive ('model')"


def test_the_exit_code_of_verify_is_1_if_an_archive_is_rejected(signed, capsys, tmp_path):
    archive, key = signed
    assert verify.main(str(key), str(archive)) == 0
    assert capsys.readouterr().out == "ok      m-1.0.mar  signed with signing.pub\n"
    assert verify.main(str(key), str(tmp_path / "n-1.0.mar"), str(archive)) == 1
    assert capsys.readouterr().out == "REFUSED n-1.0.mar: no such archive\nok      m-1.0.mar  signed with signing.pub\n"


def test_the_key_pair_is_created_once_and_only_its_owner_can_read_it(tmp_path):
    keys = tmp_path / "new" / "keys"
    key = signing.private_key(keys)
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    assert stat.S_IMODE((keys / "signing.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert (keys / "signing.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert (keys / "signing.pub").read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert signing.private_key(keys).private_bytes_raw() == key.private_bytes_raw()


def test_a_private_key_that_is_not_ed25519_is_rejected(tmp_path):
    raw = serialization.PrivateFormat.PKCS8
    pem = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, raw, serialization.NoEncryption()
    )
    (tmp_path / "signing.pem").write_bytes(pem)
    with pytest.raises(TypeError, match=r"signing\.pem is not an Ed25519 key$"):
        signing.private_key(tmp_path)


def test_an_existing_private_key_is_not_overwritten(tmp_path):
    signing.make_pair(tmp_path)
    with pytest.raises(FileExistsError):
        signing.make_pair(tmp_path)
