"""The guardrail on real servers: it sets a worse variant's weight to 0; an equal variant follows its ramp."""

import pytest

from tests.serve.support.bundle import Bundle, eventually
from tests.serve.support.load import Load

pytestmark = pytest.mark.serve

CONTROL = "calm@1.0"
# Each is the candidate of an experiment of its own, all at once.
CANDIDATES = {"errors": "faulty@1.0", "latency": "slow@1.0", "nothing": "twin@1.0"}
SECONDS = 0.05
RATE, SHARE = 50, 10  # requests a second, and percent of the candidate
USERS = 100_000  # each request is a new user: the guard counts a user once


@pytest.fixture(scope="module")
def bundle(instance: Bundle) -> Bundle:
    # Enough workers that no request queues, so that clients see exactly the latency of the handlers.
    instance.pack("calm", batch=16, workers=4, seconds=SECONDS)
    instance.pack("twin", batch=16, workers=4, seconds=SECONDS)
    instance.pack("slow", batch=16, workers=3, seconds=1.5 * SECONDS)
    instance.pack("faulty", batch=16, workers=3, seconds=SECONDS, errors=0.05)
    instance.do("serve")
    return instance


def create(bundle: Bundle, name: str, candidate: str, **more) -> None:
    variants = [
        {"model": "calm", "version": "1.0", "weight": 100 - SHARE},
        {"model": candidate.partition("@")[0], "version": "1.0", "weight": SHARE},
    ]
    experiment = {"name": name, "variants": variants, "control": CONTROL, "guard": {"latency": 1.25}, **more}
    response = bundle.experiments("POST", experiment=experiment)
    assert response.status_code == 201, response.text


def history(bundle: Bundle, name: str) -> list[dict]:
    return bundle.experiments("GET", f"/{name}").json()["history"]


def weights(change: dict) -> list[float]:
    return [variant["weight"] for variant in change["state"]["experiment"]["variants"]]


@pytest.mark.parametrize("problem", ["errors", "latency"])
def test_the_weight_of_a_worse_variant_is_set_to_0(bundle: Bundle, problem):
    create(bundle, problem, CANDIDATES[problem])
    with Load(f"{bundle.settings.url}/predictions/{problem}", RATE, USERS) as load:
        eventually(lambda: len(history(bundle, problem)) > 1, "the guard acts", 90)
        rolled_back = len(load.responses)
        load.wait_for(100)
    acted, created = history(bundle, problem)
    assert (acted["what"], acted["who"], weights(acted)) == ("guard", "guard", [100, 0])
    assert acted["why"].startswith(f"{CANDIDATES[problem]}: {problem}")
    assert load.failed == []  # clients never saw the errors
    assert {response.variant for response in load.responses[rolled_back + 50 :]} == {CONTROL}
    log = (bundle.settings.logs / "control.err").read_text()
    assert f"{problem}: {CANDIDATES[problem]} goes back to 0" in log
    assert acted["at"] > created["at"]
    print(f"{problem}: back at 0 after {acted['at'] - created['at']:.0f} s: {acted['why']}")


def test_an_equal_variant_follows_its_ramp(bundle: Bundle):
    create(bundle, "nothing", CANDIDATES["nothing"], ramp={"steps": [5, 25, 100], "seconds": 5, "requests": 10})
    assert weights(history(bundle, "nothing")[0]) == [95, 5]
    with Load(f"{bundle.settings.url}/predictions/nothing", RATE) as load:
        eventually(lambda: len(history(bundle, "nothing")) == 3, "both steps are taken", 90)
    changes = history(bundle, "nothing")
    assert [(change["what"], weights(change)) for change in changes] == [
        ("ramp", [0, 100]),
        ("ramp", [75, 25]),
        ("create", [95, 5]),
    ]
    assert load.failed == []
