"""Versions in their order, the desired state, the settings."""

import pytest
from pydantic import ValidationError

from serving import desired
from serving.desired import Desired, Version
from serving.errors import MarinaError
from serving.settings import LONGEST_SOCKET_FOLDER, Settings
from serving.store import Archive, archives, version_key
from serving.torchserve import effective, properties


def test_versions_are_ordered_as_versions():
    versions = ["2", "1.10", "1.9", "1.0", "1.0rc1", "blue-10", "blue-2"]
    assert sorted(versions, key=version_key) == ["blue-2", "blue-10", "1.0rc1", "1.0", "1.9", "1.10", "2"]


def test_foreign_files_in_the_store_are_left_alone(tmp_path):
    for name in ("m-1.0.mar", "m-1.0.mar.sig", "noversion.mar", "notes.txt", ".m-1.0.mar.d"):
        (tmp_path / name).touch()
    assert {name: [each.version for each in found] for name, found in archives(tmp_path).items()} == {"m": ["1.0"]}


def two_versions(tmp_path) -> Desired:
    wanted = Desired()
    for version in ("1.0", "2.0"):
        wanted.add(Archive("m", version, tmp_path / f"m-{version}.mar"), 1)
    return wanted


def test_the_default_is_not_retired_while_there_are_others(tmp_path):
    wanted = two_versions(tmp_path)
    with pytest.raises(MarinaError, match=r"set-default MODEL=m VERSION=2\.0"):
        wanted.retire("m", "1.0")
    wanted.set_default("m", "2.0")
    wanted.retire("m", "1.0")
    wanted.drop("m", "1.0")
    wanted.retire("m", "2.0")
    wanted.drop("m", "2.0")
    assert wanted.models == {}


@pytest.mark.parametrize("change", ["scale", "set_default", "retire"])
def test_what_is_not_served_is_named(tmp_path, change):
    arguments = (3,) if change == "scale" else ()
    with pytest.raises(MarinaError, match=r"m 3\.0 is not served; its versions are 1\.0, 2\.0"):
        getattr(two_versions(tmp_path), change)("m", "3.0", *arguments)


def test_a_refused_change_is_not_saved(tmp_path):
    settings = Settings(var=tmp_path)
    settings.make_folders()
    desired.save(settings, Desired())

    def fail_half_way():
        with desired.change(settings) as wanted:
            wanted.models["m"] = desired.Model(default="1.0", versions={"1.0": Version(archive="m-1.0.mar")})
            wanted.retire("m", "2.0")

    with pytest.raises(MarinaError):
        fail_half_way()
    assert desired.load(settings) == Desired()


def test_the_user_file_wins_but_for_addresses_and_folders(tmp_path):
    config = tmp_path / "config.properties"
    config.write_text("max_request_size=7\nallowed_urls=file:///x/.*\ninference_address=http://0.0.0.0:1\n# a=b\n")
    found = effective(Settings(var=tmp_path, config=config, inference_port=18080))
    assert found["max_request_size"] == "7"
    assert found["allowed_urls"] == "file:///x/.*"
    assert found["inference_address"] == "http://127.0.0.1:18080"
    assert "a" not in found


def test_the_file_of_this_repository_is_safe():
    found = properties(Settings().config.read_text())
    assert found["disable_token_authorization"] == "false"
    assert found["install_py_dep_per_model"] == "false"
    assert int(found["token_expiration_min"]) > 10 * 365 * 24 * 60
    assert not {"clientTimeoutInMills", "load_models"} & set(found)


def test_a_long_folder_gets_short_sockets(tmp_path):
    settings = Settings(var=tmp_path / ("x" * LONGEST_SOCKET_FOLDER))
    assert len(str(settings.sockets)) <= LONGEST_SOCKET_FOLDER
    assert settings.sockets != Settings(var=tmp_path / ("y" * LONGEST_SOCKET_FOLDER)).sockets


def test_a_certificate_needs_its_key(tmp_path):
    cert = tmp_path / "cert.pem"
    cert.touch()
    with pytest.raises(ValidationError, match="go together"):
        Settings(cert=cert)
    with pytest.raises(ValidationError, match="no such file"):
        Settings(cert=cert, key=tmp_path / "none.pem")


def test_children_get_the_same_settings(tmp_path, monkeypatch):
    settings = Settings(var=tmp_path, port=18000)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
