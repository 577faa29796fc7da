"""Scopes and roles."""

import pytest

from marina.errors import AccessKeyError
from marina.security import scopes


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["predict"], ("predict",)),
        (["predict:resnet18,feedback", " metrics "], ("feedback", "metrics", "predict:resnet18")),
        (["predict,predict", "explain:a_b.c-2"], ("explain:a_b.c-2", "predict")),
        ([], ()),
        ([" , "], ()),
    ],
)
def test_scopes_are_words_with_commas(words, found):
    assert scopes.parse(words) == found


@pytest.mark.parametrize(
    "word", ["lenet", "Predict", "predict:", "predict:../b", "predict:a/b", "feedback:a", "*", "a:b"]
)
def test_an_unknown_scope_is_refused(word):
    with pytest.raises(AccessKeyError):
        scopes.parse([word])


def test_each_role_includes_the_one_before():
    reader, operator, admin = (set(scopes.ROLES[role]) for role in ("reader", "operator", "admin"))
    assert reader < operator < admin
    assert admin == set(scopes.SCOPES)
    assert reader == {"predict", "explain", "feedback"}
    assert "manage" not in operator
