"""Attacks of code in a signed archive: it gets its model, and no key, token, variable or file of anything else."""

import sys
from pathlib import Path

import pytest

from marina.security import landlock
from marina.serving import supervisor
from tests.serve.support.bundle import Bundle

pytestmark = pytest.mark.serve
confined = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "cloud-secret",
    "MARINA_DATABASE_PASSWORD": "database-secret",
    "PGPASSWORD": "postgres-secret",
    "HF_TOKEN": "hub-secret",
    "GITHUB_TOKEN": "git-secret",
}


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    for name in ("spy", "other"):
        instance.pack(name, handler="spy_handler.py")
    started = instance.run("serve", **SECRETS, MY_LICENCE="wanted", MARINA_PASS_ENVIRONMENT="MY_LICENCE")
    assert started.returncode == 0, started.stdout + started.stderr
    return instance


def spy(bundle: Bundle, *attempts: tuple[str, object], model: str = "spy", **headers: str) -> dict:
    response = bundle.http.post(f"/predictions/{model}", json={"attempts": attempts}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def outcome(bundle: Bundle, what: str, argument: object) -> str:
    """Return "done", or the name of the error that the attempt failed with."""
    ((result, _),) = spy(bundle, (what, str(argument)))["attempts"]
    return result


def test_no_variable_of_the_users_shell_reaches_a_worker_or_envoy_but_those_that_are_named(bundle: Bundle):
    found = spy(bundle)["environment"]
    assert found["MY_LICENCE"] == "wanted"
    assert not SECRETS.keys() & found.keys()
    ours = {"MARINA_GRPC_STREAMS", "MARINA_GALLERY", "MARINA_VAR"}
    assert {name for name in found if name.startswith("MARINA_")} == ours
    if sys.platform == "linux":
        for name, program in supervisor.programs(bundle.settings).items():
            text = Path(f"/proc/{program['pid']}/environ").read_text()
            assert "cloud-secret" not in text
            assert "git-secret" not in text
            assert ("postgres-secret" in text) == (name == "control")


def test_no_credential_of_a_request_reaches_a_handler(bundle: Bundle):
    """TorchServe needs Envoy's token in `authorization`, and the client's may be a session of its own."""
    sent = {"Authorization": "Bearer mine", "Cookie": "session=mine", "X-Api-Key": "mine", "x-note": "kept"}
    assert spy(bundle, **sent)["headers"] == {"x-note": "kept"}


@confined
def test_a_worker_reads_its_own_model_and_nothing_that_is_secret(bundle: Bundle):
    own, other = spy(bundle), spy(bundle, model="other")
    settings = bundle.settings
    assert outcome(bundle, "read", f"{own['folder']}/spy_handler.py") == "done"
    secrets = [
        *(settings.keys / "signing.pem", settings.key_file, settings.run / "instance.json", settings.verified),
        *(settings.run / "config.properties", settings.run / "supervisord.conf", settings.run / "python"),
        *(settings.run / "caller_proof", settings.envoy / "rds.json"),
        *(settings.var / "experiments.db", settings.logs / "access.log", settings.state / "models.json"),
        *(settings.store / "other-1.0.mar", f"{other['folder']}/spy_handler.py", f"{other['temporary']}/x"),
        *("/etc/shadow", "/root/.bashrc", Path.home() / ".ssh", Path.home() / ".aws" / "credentials"),
        *(f"/proc/{pid}/environ" for pid in (1, supervisor.programs(settings)["control"]["pid"])),
    ]
    for path in secrets:
        attempt = "listing" if Path(path).is_dir() else "read"
        expected = "PermissionError" if Path(path).exists() else "FileNotFoundError"
        assert outcome(bundle, attempt, path) in {"PermissionError", expected}, path


@confined
def test_a_worker_writes_its_temporary_folder_and_the_gallery_alone(bundle: Bundle):
    own, other = spy(bundle), spy(bundle, model="other")
    settings = bundle.settings
    for folder in (own["temporary"], settings.gallery):
        assert outcome(bundle, "write", f"{folder}/spy.txt") == "done"
        assert outcome(bundle, "delete", f"{folder}/spy.txt") == "done"
    folders = [own["folder"], other["folder"], other["temporary"], settings.store, settings.verified, settings.run]
    for folder in (*folders, settings.var, settings.sockets, "/tmp", Path(sys.prefix, "lib"), Path.home()):
        assert outcome(bundle, "write", f"{folder}/spy.txt") == "PermissionError", folder
    for socket in settings.sockets.glob(".ts.sock.*"):
        assert outcome(bundle, "delete", socket) == "PermissionError"


@confined
def test_what_a_worker_starts_is_confined_too(bundle: Bundle):
    ((result, _),) = spy(bundle, ("run", f"open({str(bundle.settings.key_file)!r})"))["attempts"]
    assert result == "RuntimeError"
    ((result, text),) = spy(bundle, ("run", "print(6 * 7)"))["attempts"]
    assert (result, text) == ("done", "42\n")


@confined
@pytest.mark.skipif(landlock.abi() < landlock.SCOPES_ABI, reason="signals are scoped from Linux 6.12")
def test_a_worker_ends_no_process_of_the_bundle(bundle: Bundle):
    for program in supervisor.programs(bundle.settings).values():
        assert outcome(bundle, "kill", program["pid"]) == "PermissionError"


@confined
def test_a_worker_orders_no_fork_with_rules_of_its_choice(bundle: Bundle):
    forks = str(bundle.settings.fork_socket)
    ((result, text),) = spy(bundle, ("order_fork", forks))["attempts"]
    assert "forked" not in text, result
    ((result, text),) = spy(bundle, ("order_fork_as_orphan", forks))["attempts"]
    assert (result, text) == ("done", "refused\n")
    assert bundle.http.post("/predictions/spy", json={}).status_code == 200


@confined
def test_a_worker_does_not_steer_the_supervisor(bundle: Bundle):
    ((_, text),) = spy(bundle, ("supervise", str(supervisor.socket(bundle.settings))))["attempts"]
    assert "401" in text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/quitquitquit"),
        ("POST", "/drain_listeners"),
        ("POST", "/logging?level=trace"),
        ("GET", "/config_dump"),
    ],
)
def test_a_worker_neither_steers_envoy_nor_reads_its_configuration(bundle: Bundle, method: str, path: str):
    ((_, status),) = spy(bundle, ("request", f"{bundle.settings.admin_socket} {method} {path}"))["attempts"]
    assert "403" in status
    assert bundle.http.get("/ready").status_code == 200


def test_the_temporary_folders_are_the_owners_alone(bundle: Bundle):
    if landlock.abi():
        temporary = Path(spy(bundle)["temporary"])
        assert temporary.parent.parent == bundle.settings.sockets
        assert temporary.stat().st_mode & 0o777 == 0o700
    assert bundle.settings.sockets.stat().st_mode & 0o777 == 0o700
