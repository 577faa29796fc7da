"""Who gets which variant: 10,000 buckets, of which a key's hash picks one, divided among the variants."""

from collections.abc import Mapping, Sequence

BUCKETS = 10_000
Split = tuple[tuple[int, str], ...]  # (first bucket, variant), in order, the first at 0; each reaches up to the next


def counts(weights: Mapping[str, float]) -> dict[str, int]:
    """Buckets for each variant of weights in percent; the largest remainders make up the whole."""
    exact = {name: weight * BUCKETS / 100 for name, weight in weights.items()}
    result = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: result[name] - exact[name])
    for name in rest[: BUCKETS - sum(result.values())]:
        result[name] += 1
    return result


def divide(weights: Mapping[str, float]) -> Split:
    """The split of a new experiment: one run of buckets for each variant."""
    return compact([name for name, count in counts(weights).items() for _ in range(count)])


def change(split: Split, weights: Mapping[str, float]) -> Split:
    """Move only the buckets that must move: the last ones of each variant that shrinks go to those that grow."""
    owners = expand(split)
    wanted = counts(weights)
    held = dict.fromkeys(wanted, 0)
    free = []
    for bucket, owner in enumerate(owners):
        if held.get(owner, 0) < wanted.get(owner, 0):
            held[owner] += 1
        else:
            free.append(bucket)
    takers = [name for name, count in wanted.items() for _ in range(count - held[name])]
    for bucket, name in zip(free, takers, strict=True):
        owners[bucket] = name
    return compact(owners)


def expand(split: Split) -> list[str]:
    """The owner of each bucket."""
    ends = [*(start for start, _ in split[1:]), BUCKETS]
    return [name for (start, name), end in zip(split, ends, strict=True) for _ in range(start, end)]


def compact(owners: Sequence[str]) -> Split:
    """The runs of equal owners."""
    return tuple((bucket, owner) for bucket, owner in enumerate(owners) if bucket == 0 or owner != owners[bucket - 1])
