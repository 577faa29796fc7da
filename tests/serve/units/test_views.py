"""What the gateway knows of versions: when one is refused, and what stands for one that is not served."""

import pytest

from serving.views import ModelView, VersionView, version_of

CLOSED, OTHERS = (503, "closed"), frozenset({"a:1"})


@pytest.mark.parametrize(
    ("closed", "elsewhere", "refusal"),
    [(None, frozenset(), None), (CLOSED, frozenset(), CLOSED), (CLOSED, OTHERS, None), (None, OTHERS, None)],
)
def test_a_version_is_refused_only_where_no_node_serves_it(closed, elsewhere, refusal):
    assert VersionView(1, closed, elsewhere=elsewhere).refusal == refusal


def test_a_version_that_is_not_served_is_a_closed_one():
    view = VersionView(7)
    models = {"cat": ModelView("1.0", {"1.0": view})}
    assert version_of(models, "cat", "1.0") is view
    for name, version in (("cat", "2.0"), ("dog", "1.0")):
        assert version_of(models, name, version) == VersionView(0, (503, f"{name} {version} is not served"))
