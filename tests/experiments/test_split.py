"""The split: 10,000 buckets, divided by weights; a change moves as few as possible."""

from collections import Counter

import pytest

from marina.experiments.split import BUCKETS, bucket_counts, bucket_owners, compact, new_split, rebalance

THREE = {"a": 50.0, "b": 30.0, "c": 20.0}


def moved(before, after) -> Counter:
    """Count the buckets by (owner before, owner after)."""
    pairs = zip(bucket_owners(before), bucket_owners(after), strict=True)
    return Counter(pair for pair in pairs if pair[0] != pair[1])


def test_there_are_10_000_buckets():
    assert BUCKETS == 10_000


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (THREE, {"a": 5000, "b": 3000, "c": 2000}),
        ({"a": 100.0, "b": 0.0}, {"a": 10_000, "b": 0}),
        ({"a": 99.99, "b": 0.01}, {"a": 9999, "b": 1}),
        ({"a": 33.334, "b": 33.333, "c": 33.333}, {"a": 3334, "b": 3333, "c": 3333}),
        ({"a": 33.333, "b": 33.333, "c": 33.334}, {"a": 3333, "b": 3333, "c": 3334}),
        ({"a": 0.126, "b": 0.117, "c": 99.757}, {"a": 12, "b": 12, "c": 9976}),  # remainders: 0.6, 0.7, 0.7
    ],
)
def test_rounding_is_by_largest_remainders(weights, expected):
    assert bucket_counts(weights) == expected
    assert sum(expected.values()) == BUCKETS


def test_a_new_split_has_a_run_for_each_variant():
    assert new_split(THREE) == ((0, "a"), (5000, "b"), (8000, "c"))
    assert new_split({"a": 0.0, "b": 100.0}) == ((0, "b"),)


def test_compact_inverts_bucket_owners():
    split = ((0, "a"), (1, "b"), (9_998, "a"))
    owners = bucket_owners(split)
    assert owners == ["a", *["b"] * 9_997, "a", "a"]
    assert compact(owners) == split
    assert compact(["a", "a", "b", "a"]) == ((0, "a"), (2, "b"), (3, "a"))
    assert compact(["b"]) == ((0, "b"),)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (THREE, {}),
        ({"a": 40.0, "b": 40.0, "c": 20.0}, {("a", "b"): 1000}),
        ({"a": 45.0, "b": 30.0, "c": 25.0}, {("a", "c"): 500}),
        ({"a": 60.0, "b": 25.0, "c": 15.0}, {("b", "a"): 500, ("c", "a"): 500}),
        ({"a": 50.0, "b": 50.0, "c": 0.0}, {("c", "b"): 2000}),
        ({"a": 0.0, "b": 0.0, "c": 100.0}, {("a", "c"): 5000, ("b", "c"): 3000}),
        ({"a": 50.0, "b": 29.99, "c": 20.01}, {("b", "c"): 1}),
    ],
)
def test_with_three_variants_as_few_buckets_as_possible_move(weights, expected):
    """No bucket moves between variants that keep their share, nor away from one that grows."""
    after = rebalance(new_split(THREE), weights)
    assert Counter(bucket_owners(after)) == Counter(
        {name: count for name, count in bucket_counts(weights).items() if count}
    )
    assert moved(new_split(THREE), after) == Counter(expected)


def test_the_last_buckets_of_a_variant_that_shrinks_are_given_away():
    assert rebalance(new_split(THREE), {"a": 40, "b": 30, "c": 30}) == ((0, "a"), (4000, "c"), (5000, "b"), (8000, "c"))
    assert rebalance(new_split(THREE), {"a": 60, "b": 30, "c": 10}) == ((0, "a"), (5000, "b"), (8000, "c"), (9000, "a"))
    two = rebalance(new_split({"a": 80, "b": 20, "c": 0}), {"a": 40, "b": 40, "c": 20})
    assert two == ((0, "a"), (4000, "b"), (6000, "c"), (8000, "b"))


def test_variants_can_be_added_and_removed():
    """A variant that is not named gets nothing; a new one takes free buckets."""
    split = new_split({"a": 50, "b": 50})
    assert rebalance(split, {"a": 50, "n": 50}) == ((0, "a"), (5000, "n"))
    assert rebalance(split, {"a": 50, "b": 40, "n": 10}) == ((0, "a"), (5000, "b"), (9000, "n"))


def test_weights_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="zip"):
        rebalance(new_split(THREE), {"a": 50, "b": 40})
