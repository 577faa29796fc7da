"""Split of the traffic: 10,000 buckets divided among the variants; a key's hash selects the bucket."""

from collections.abc import Mapping, Sequence

BUCKETS = 10_000
Split = tuple[tuple[int, str], ...]  # (first bucket, variant), in order, the first at 0; each reaches up to the next


def bucket_counts(weights: Mapping[str, float]) -> dict[str, int]:
    """Return the number of buckets of each variant for weights in percent, by the largest remainder method.

    >>> bucket_counts({"a": 33.334, "b": 33.333, "c": 33.333})
    {'a': 3334, 'b': 3333, 'c': 3333}
    """
    exact = {name: weight * BUCKETS / 100 for name, weight in weights.items()}
    result = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: result[name] - exact[name])
    for name in rest[: BUCKETS - sum(result.values())]:
        result[name] += 1
    return result


def new_split(weights: Mapping[str, float]) -> Split:
    """Return the split of a new experiment: one run of buckets for each variant.

    >>> new_split({"a": 90, "b": 10})
    ((0, 'a'), (9000, 'b'))
    """
    return compact([name for name, count in bucket_counts(weights).items() for _ in range(count)])


def rebalance(split: Split, weights: Mapping[str, float]) -> Split:
    """Return the split for new weights in which as few buckets as possible change their variant.

    The last buckets of each variant that shrinks go to those that grow.

    >>> rebalance(((0, "a"), (9000, "b")), {"a": 80, "b": 20})
    ((0, 'a'), (8000, 'b'))
    """
    owners = bucket_owners(split)
    target = bucket_counts(weights)
    held = dict.fromkeys(target, 0)
    free = []
    for bucket, owner in enumerate(owners):
        if held.get(owner, 0) < target.get(owner, 0):
            held[owner] += 1
        else:
            free.append(bucket)
    receivers = [name for name, count in target.items() for _ in range(count - held[name])]
    for bucket, name in zip(free, receivers, strict=True):
        owners[bucket] = name
    return compact(owners)


def bucket_owners(split: Split) -> list[str]:
    """Return the variant of each bucket."""
    ends = [*(start for start, _ in split[1:]), BUCKETS]
    return [name for (start, name), end in zip(split, ends, strict=True) for _ in range(start, end)]


def compact(owners: Sequence[str]) -> Split:
    """Return the split of a list of owners: its runs of equal ones."""
    return tuple((bucket, owner) for bucket, owner in enumerate(owners) if bucket == 0 or owner != owners[bucket - 1])
