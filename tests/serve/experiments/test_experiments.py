"""An experiment from creation to its end, on real servers and under load."""

import os
import signal

import pytest

from tests.serve.support.bundle import Bundle, eventually
from tests.serve.support.load import Load, assigned
from tests.serve.test_resilience import back, pid_of

pytestmark = pytest.mark.serve

A, B = "alpha@1.0", "beta@1.0"
USERS = range(200)
YAML = """
digits:
  seed: 7
  variants:
    - {model: alpha, version: 1.0, weight: 90}
    - {model: beta, version: "1.0", weight: 10}
  control: alpha@1.0
unready:
  variants:
    - {model: alpha, version: "1.0", weight: 50}
    - {model: gamma, version: "3.0", weight: 50}
  control: alpha@1.0
"""


@pytest.fixture(scope="module")
def bundle(instance: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Serves alpha and beta, with the experiment `digits` running."""
    for name in ("alpha", "beta"):
        instance.pack(name, batch=8)
    instance.do("serve")
    instance.file = tmp_path_factory.mktemp("experiments") / "experiments.yaml"
    instance.file.write_text(YAML)
    output = ab(instance, "create", "digits", "--file", instance.file, "--why", "to see")
    assert "alpha@1.0 90 %, beta@1.0 10 %, applied by Envoy" in output
    return instance


def ab(bundle: Bundle, *command: object) -> str:
    return bundle.do("ab", *map(str, command))


def url(bundle: Bundle) -> str:
    return f"{bundle.settings.url}/predictions/digits"


def split(bundle: Bundle) -> dict[int, str]:
    found = assigned(url(bundle), USERS)
    assert {source for _, source in found.values()} == {"split"}
    return {user: variant for user, (variant, _) in found.items()}


def test_an_experiment_serves_requests_and_is_shown(bundle: Bundle):
    assert set(split(bundle).values()) == {A, B}
    shown = ab(bundle, "show")
    assert "digits" in shown
    assert B in shown
    assert "…" not in shown  # a pipe has room for all of it
    eventually(lambda: known(bundle)["summary"]["variants"][0]["requests"] > 0, "the requests are counted")


def known(bundle: Bundle) -> dict:
    return bundle.experiments("GET", "/digits").json()


def test_errors_name_the_variant_that_is_not_served_or_unknown(bundle: Bundle):
    refused = bundle.run("ab", "create", "unready", "--file", str(bundle.file))
    assert refused.returncode == 1
    assert "gamma@3.0: it is not served" in refused.stderr
    again = bundle.run("ab", "create", "digits", "--file", str(bundle.file))
    assert "it runs already" in again.stderr
    assert bundle.experiments("PUT", "/digits/weights", weights={"delta@1": 100}).status_code == 400
    assert bundle.experiments("PUT", "/digits/weights", weights={A: 60}).json()["message"].endswith("not to 100")
    assert bundle.experiments("POST", "/nothing/stop").status_code == 404
    assert bundle.http.get("/v1/experiments").status_code == 401
    assert bundle.http.get("/v1/experiments", headers=bundle.token("inference")).status_code == 401


def test_fifty_changes_of_weights_lose_no_request_and_roll_back_exactly(bundle: Bundle):
    before, history = split(bundle), len(known(bundle)["history"])
    with Load(url(bundle), rate=60) as load:
        for step in range(50):
            share = 10 + 2 * (step % 25)
            body = {"weights": {A: 100 - share, B: share}, "who": "test", "why": f"step {step}"}
            assert bundle.experiments("PUT", "/digits/weights", **body).status_code == 200
            load.wait_for(6)
    assert load.failed == []
    assert {response.source for response in load.responses} == {"split"}
    changes = known(bundle)["history"]
    assert len(changes) == history + 50
    assert (changes[0]["who"], changes[0]["why"], changes[0]["what"]) == ("test", "step 49", "weights")
    for _ in range(50):
        assert bundle.experiments("POST", "/digits/rollback").status_code == 200
    assert split(bundle) == before


def test_promoting_moves_all_users_and_a_rollback_restores_their_variants(bundle: Bundle):
    before = split(bundle)
    ab(bundle, "promote", "digits", B, "--why", "it won")
    assert set(split(bundle).values()) == {B}
    assert "rollback" in ab(bundle, "rollback", "digits")
    assert split(bundle) == before


def test_assignments_outlive_envoy_control_and_the_whole_bundle(bundle: Bundle):
    before = split(bundle)
    for program in ("envoy", "control"):
        pid = pid_of(bundle, program)
        os.kill(pid, signal.SIGKILL)
        back(bundle, program, pid)
        assert split(bundle) == before
    bundle.do("stop")
    bundle.do("serve")
    assert split(bundle) == before


def test_requests_to_a_variant_without_workers_fall_back_and_count_as_its_errors(bundle: Bundle):
    before = split(bundle)
    of_b = {user for user, variant in before.items() if variant == B}
    (pid,) = bundle.worker_pids("beta")
    with Load(url(bundle), rate=60, users=len(USERS)) as load:
        load.wait_for(60)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: any(response.source == "fallback" for response in load.responses), "a fallback")
        bundle.do("scale", "beta", "1.0", "0")
        bundle.do("scale", "beta", "1.0", "1")
    assert load.failed == []
    fallbacks = [response for response in load.responses if response.source == "fallback"]
    assert {response.variant for response in fallbacks} == {A}
    assert {response.user for response in fallbacks} <= of_b
    token = {"x-feedback-token": fallbacks[0].token}
    body = {"request_id": fallbacks[0].request_id, "reward": 1}
    feedback = bundle.http.post("/v1/feedback", json=body, headers=token)
    assert feedback.status_code in (200, 202)
    assert {response.variant for response in load.responses if response.user not in of_b} == {A}
    beta = next(it for it in known(bundle)["summary"]["variants"] if it["name"] == B)
    assert beta["errors"] > 0
    assert split(bundle) == before


def test_the_default_is_swapped_ten_times_under_load(bundle: Bundle):
    bundle.pack("alpha", "2.0", batch=8)
    bundle.do("register", "alpha", "2.0")
    with Load(f"{bundle.settings.url}/predictions/alpha", rate=60) as load:
        for number in range(10):
            bundle.do("set-default", "alpha", "2.0" if number % 2 == 0 else "1.0")
            load.wait_for(10)
    assert load.failed == []
    bundle.do("retire", "alpha", "2.0")


def test_a_mirror_is_compared_until_it_is_ended(bundle: Bundle):
    unready = bundle.run("ab", "mirror", "digits", "gamma@3.0", "20")
    assert "gamma@3.0: it is not served" in unready.stderr
    ab(bundle, "mirror", "digits", B, 100)
    before = split(bundle)
    (pair,) = eventually(lambda: known(bundle)["summary"]["mirrored"], "copies are compared")
    assert (pair["live"], pair["mirror"], pair["same_label"], pair["errors"]) == (A, B, 1.0, 0)
    ab(bundle, "mirror", "digits", B, 0)
    assert known(bundle)["history"][0]["state"]["experiment"]["mirror"] is None
    assert split(bundle) == before


def test_a_version_in_an_experiment_is_not_retired(bundle: Bundle):
    refused = bundle.run("retire", "beta", "1.0")
    assert refused.returncode == 1
    assert "beta 1.0 serves requests of the experiment digits" in refused.stderr
    assert set(split(bundle).values()) == {A, B}


def test_a_stopped_experiment_keeps_its_history_and_can_be_rolled_back(bundle: Bundle):
    before = split(bundle)
    ab(bundle, "stop", "digits", "--why", "enough")
    assert bundle.http.post("/predictions/digits", json={}).status_code == 404
    assert bundle.experiments("GET").json() == []
    report = ab(bundle, "report", "digits").strip()
    assert "enough" in open(report).read()  # noqa: SIM115, PTH123
    ab(bundle, "rollback", "digits")
    assert split(bundle) == before
