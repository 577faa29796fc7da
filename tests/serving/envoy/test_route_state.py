"""Route states: when a version is refused, and the state of a version that is not served."""

import pytest

from marina.serving.envoy.route_state import ModelRouteState, VersionRouteState, version_state

CLOSED, OTHERS = (503, "closed"), frozenset({"a:1"})


@pytest.mark.parametrize(
    ("closed", "ready_peers", "refusal"),
    [(None, frozenset(), None), (CLOSED, frozenset(), CLOSED), (CLOSED, OTHERS, None), (None, OTHERS, None)],
)
def test_a_version_is_refused_only_where_no_node_serves_it(closed, ready_peers, refusal):
    assert VersionRouteState(1, closed, ready_peers=ready_peers).refusal == refusal


def test_a_version_that_is_not_served_is_a_closed_one():
    state = VersionRouteState(7)
    models = {"cat": ModelRouteState("1.0", {"1.0": state})}
    assert version_state(models, "cat", "1.0") is state
    for name, version in (("cat", "2.0"), ("dog", "1.0")):
        assert version_state(models, name, version) == VersionRouteState(0, (503, f"{name} {version} is not served"))
