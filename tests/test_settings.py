"""Settings of one instance: folders, sockets, addresses, and the other nodes."""

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from marina import instance
from marina.errors import MarinaError
from marina.folders import MAX_SOCKET_FOLDER_BYTES, private_folder
from marina.serving import launch
from marina.settings import ROOT, Settings
from tests.serving import conftest as serving

no_settings_of_this_machine = serving.no_settings_of_this_machine


def test_the_defaults_are_those_of_the_documentation():
    made = Settings()
    assert made.ports == {
        "port": 8000,
        "inference_port": 8080,
        "management_port": 8081,
        "grpc_inference_port": 7070,
        "grpc_management_port": 7071,
    }
    assert (made.host, made.url) == ("127.0.0.1", "http://127.0.0.1:8000")
    assert (made.var, made.store, made.config) == (ROOT / "var", ROOT / "archive" / "store", ROOT / "config.properties")
    assert (made.nodes, made.database, made.cert, made.key, made.fork) == ("", "", None, None, True)
    assert (made.poll_seconds, made.start_timeout) == (0.5, 900)


def test_every_folder_lies_in_var(tmp_path):
    made = Settings(var=tmp_path)
    assert made.run == tmp_path / "run"
    assert made.state == tmp_path / "state"
    assert made.logs == tmp_path / "logs"
    assert made.envoy == tmp_path / "run" / "envoy"
    assert made.key_file == tmp_path / "run" / "key_file.json"
    assert made.keys == tmp_path / "keys"
    assert made.verified == tmp_path / "verified"
    assert made.gallery == tmp_path / "gallery"
    assert made.fork_socket == made.sockets / "forks.sock"
    assert made.database_url == f"sqlite:///{tmp_path}/experiments.db"
    assert made.model_copy(update={"database": "postgresql://x/y"}).database_url == "postgresql://x/y"


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("c", "k"):
        Path(name).touch()
    made = Settings(var="v", store="s", config="x", gallery="g", cert="c", key="k")
    found = [made.var, made.store, made.config, made.gallery, made.cert, made.key]
    assert found == [tmp_path / name for name in "vsxgck"]


def test_certificate_and_key_go_together_and_are_there(tmp_path):
    (tmp_path / "c").touch()
    for given in ({"cert": tmp_path / "c"}, {"key": tmp_path / "c"}):
        with pytest.raises(ValidationError, match="CERT and KEY go together: give both PEM files, or neither"):
            Settings(**given)
    with pytest.raises(ValidationError, match=f"no such file: {tmp_path}/n"):
        Settings(cert=tmp_path / "n", key=tmp_path / "c")
    made = Settings(cert=tmp_path / "c", key=tmp_path / "c", host="0.0.0.0", port=1)
    assert made.url == "https://127.0.0.1:1"
    assert Settings(host="::").url == "http://127.0.0.1:8000"
    assert Settings(host="10.0.0.1").url == "http://10.0.0.1:8000"


def test_folders_of_keys_and_sockets_are_the_users_alone(tmp_path):
    made = Settings(var=tmp_path / "deep" / "var")
    made.make_folders()
    made.make_folders()
    for folder in (made.run, made.state, made.sockets):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for folder in (made.logs, made.envoy, made.var / "exposures"):
        assert folder.is_dir()


def test_sockets_lie_in_var_unless_their_path_is_too_long(tmp_path):
    room = MAX_SOCKET_FOLDER_BYTES - len("/tmp") - len(f"{tmp_path}/")
    fits, long = tmp_path / ("x" * room), tmp_path / ("x" * (room + 1))
    assert Settings(var=fits).sockets == fits / "tmp"
    made = Settings(var=long)
    made.make_folders()
    assert made.sockets == Settings(var=long).sockets
    assert made.sockets.parent == Path(tempfile.gettempdir())
    made.make_folders()
    assert made.sockets == Settings(var=long).sockets, "a second start changed the folder of a running instance"


@pytest.mark.parametrize("trap", ["link", "open", "gone"])
def test_a_short_socket_folder_that_somebody_replaced_is_not_used(tmp_path, trap):
    victim = tmp_path / "victim"
    (victim / "models").mkdir(parents=True)
    made = Settings(var=tmp_path / ("x" * MAX_SOCKET_FOLDER_BYTES))
    made.make_folders()
    first = made.sockets
    first.rmdir()
    if trap == "link":
        first.symlink_to(victim)
    elif trap == "open":
        first.mkdir()
        first.chmod(0o777)
    try:
        made.make_folders()
        assert made.sockets != first
        assert private_folder(made.sockets)
        launch.remove_unpacked(made)
        assert (victim / "models").is_dir()
    finally:
        first.unlink() if trap == "link" else shutil.rmtree(first, ignore_errors=True)
        made.sockets.rmdir()


def test_no_other_user_can_guess_the_short_socket_folder(tmp_path):
    """A link that waits at a guessed name made Marina delete `models` elsewhere."""
    folders = [Settings(var=tmp_path / str(index) / ("x" * MAX_SOCKET_FOLDER_BYTES)) for index in range(2)]
    names = set()
    for made in folders:
        made.make_folders()
        names.add(made.sockets.name)
        made.sockets.rmdir()
    assert len(names) == 2


def test_the_variables_for_children_leave_out_what_is_not_set(tmp_path):
    variables = Settings(var=tmp_path, port=1).environment()
    assert (variables["MARINA_VAR"], variables["MARINA_PORT"], variables["MARINA_FORK"]) == (str(tmp_path), "1", "True")
    assert not {"MARINA_CERT", "MARINA_KEY"} & set(variables)


def test_forking_needs_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert (Settings().forking, Settings(fork=False).forking) == (True, False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not Settings().forking


def test_nodes_are_hosts_and_ports():
    assert Settings().peers == ()
    assert Settings(nodes="10.0.0.2:8000,node-3:8001").peers == (("10.0.0.2", 8000), ("node-3", 8001))


def test_a_long_folder_gets_short_sockets(tmp_path):
    settings = Settings(var=tmp_path / ("x" * MAX_SOCKET_FOLDER_BYTES))
    settings.make_folders()
    assert len(str(settings.sockets)) <= MAX_SOCKET_FOLDER_BYTES
    assert settings.sockets != Settings(var=tmp_path / ("y" * MAX_SOCKET_FOLDER_BYTES)).sockets


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


def test_one_port_moves_all_by_the_same_offset():
    moved = Settings.moved_ports(8800, {})
    assert moved == {name: port + 800 for name, port in Settings().ports.items()}
    assert moved["inference_port"] == 8880


def test_a_port_that_a_variable_sets_is_not_moved(monkeypatch):
    monkeypatch.setenv("MARINA_MANAGEMENT_PORT", "5000")
    monkeypatch.setenv("MARINA_PORT", "5001")
    made = Settings(**Settings.moved_ports(8800, os.environ))
    assert (made.port, made.management_port, made.inference_port) == (8800, 5000, 8880)


@pytest.mark.parametrize(
    ("port", "named"), [(65500, "inference_port to 65580"), (800, "grpc_inference_port to -130"), (0, "port to 0")]
)
def test_a_port_that_does_not_exist_is_named(port, named):
    with pytest.raises(MarinaError, match=f"moves .*{named}, beyond 1 to 65535"):
        Settings.moved_ports(port, {})


@pytest.fixture
def recorded(tmp_path, monkeypatch) -> Settings:
    """Settings of an instance that seems to run; its `var` is the only thing that later commands know."""
    (tmp_path / "c").touch()
    given = {"port": 8800, "nodes": "a:1", "database": "postgresql://user:secret@host/x", "fork": False}
    made = Settings(var=tmp_path / "var", store=tmp_path / "s", cert=tmp_path / "c", key=tmp_path / "c", **given)
    made.make_folders()
    instance.record(made.run, made.model_dump(mode="json", exclude={"var"}))
    monkeypatch.setattr(instance, "process", lambda run: run == made.run or None)
    monkeypatch.setenv("MARINA_VAR", str(made.var))
    return made


def test_later_commands_find_the_running_instance(recorded):
    assert Settings() == recorded
    assert Settings(var=recorded.var.parent / "another").port == 8000
    assert stat.S_IMODE(instance.record_file(recorded.run).stat().st_mode) == 0o600


def test_variables_and_arguments_come_before_the_running_instance(recorded, monkeypatch):
    monkeypatch.setenv("MARINA_PORT", "8900")
    assert (Settings().port, Settings(port=9000).port, Settings().nodes) == (8900, 9000, "a:1")


def test_a_stopped_instance_is_not_inherited(recorded, monkeypatch):
    monkeypatch.setattr(instance, "process", lambda run: None)
    assert Settings().port == 8000
    monkeypatch.setattr(instance, "process", lambda run: True)
    instance.forget(recorded.run)
    instance.forget(recorded.run)
    assert Settings().port == 8000


def test_a_certificate_that_was_moved_away_keeps_no_command_from_working(recorded):
    recorded.cert.unlink()
    assert Settings().url == "http://127.0.0.1:8800"


@pytest.mark.parametrize("content", ["{", "[]", '{"unknown": 1}'])
def test_a_damaged_record_is_ignored(recorded, content):
    instance.record_file(recorded.run).write_text(content)
    assert Settings().port == 8000
