"""Match of a checkpoint's tensors with the parameters and buffers of a network, by name and shape."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from torch import Tensor

from marina.errors import ModelImportError

# Wrappers name what they wrap: DataParallel, Lightning modules, torch.compile, feature extractors.
PREFIXES = ("module.", "model.", "_orig_mod.", "backbone.")
# Buffers that a checkpoint may lack: those older than PyTorch 0.4.1 do, and inference does not read it.
OPTIONAL = "num_batches_tracked"
SHOWN = 3  # names in a message


def without_prefix(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Return the wrappers' prefix, and the tensors without it: the variant that has most names of the network.

    A prefix is removed only if all names have it.

    >>> without_prefix({"module.weight": 1}, {"weight": 1})
    ('module.', {'weight': 1})
    """
    return max(_variants(tensors), key=lambda variant: len(variant[1].keys() & expected.keys()))


def _variants(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the tensors as they are, then with one more prefix removed each time."""
    removed, current = "", dict(tensors)
    while True:
        yield removed, current
        common = next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in current)), None)
        if common is None or not current:
            return
        removed, current = removed + common, {name.removeprefix(common): value for name, value in current.items()}


def check(title: str, network: str, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Raise ModelImportError with counts and the first names if keys are missing or unexpected, or shapes differ.

    `title` names the weights, `network` the network, as the user gave them.
    """
    missing = [name for name in expected if name not in tensors and not name.endswith(OPTIONAL)]
    unexpected = [name for name in tensors if name not in expected]
    shapes = [name for name in expected if name in tensors and tensors[name].shape != expected[name].shape]
    problems = []
    if missing:
        problems.append(f"{_count(missing, expected)} missing: {_named(missing, unexpected)}")
    if unexpected:
        problems.append(f"{_count(unexpected, tensors)} unexpected: {_named(unexpected, missing)}")
    if shapes:
        sizes = [f"{name} is {shape(tensors[name])}, in the network {shape(expected[name])}" for name in shapes]
        problems.append(f"{_count(shapes, expected)} of another shape: {_listed(sizes)}")
    if problems:
        raise ModelImportError(f"{title} does not fit {network}: {'; '.join(problems)}")


def shape(tensor: Tensor) -> str:
    """Return a shape as text, such as "1000 x 512"."""
    return " x ".join(map(str, tensor.shape)) or "a scalar"


def _count(names: Sequence[str], of: Mapping[str, Tensor]) -> str:
    return f"{len(names)} of {len(of)} {'keys are' if len(of) != 1 else 'key is'}"


def _named(names: Sequence[str], others: Sequence[str]) -> str:
    """Return the first names, each with the nearest of the other side's."""
    near = ((name, get_close_matches(name, others, n=1, cutoff=0.7)) for name in names[:SHOWN])
    return _listed([f"{name} (nearest: {match[0]})" if match else name for name, match in near], len(names))


def _listed(words: Sequence[str], count: int | None = None) -> str:
    return ", ".join(words[:SHOWN]) + (", ..." if (count or len(words)) > SHOWN else "")
