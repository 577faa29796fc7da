"""Weights that packages ship, one file a network, found by file name: `state_dict()` -> names and tensors."""

from importlib import import_module

from torch import Tensor, nn


def load(network: nn.Module, name: str) -> None:
    """Give the network's `features` these weights, layer by layer in order, as far as its layers go; the rest of the
    network keeps its own.

    Raises ValueError if the layers are not those of the file.
    """
    weights: dict[str, Tensor] = import_module(f"training.pretrained.{name}").state_dict()
    features = getattr(network, "features", nn.Identity())
    own = features.state_dict()
    first = list(weights.values())[: len(own)]
    if not own or [tensor.shape for tensor in own.values()] != [tensor.shape for tensor in first]:
        raise ValueError(f"the weights of {name} are not those of a {type(network).__name__}")
    features.load_state_dict(dict(zip(own, first, strict=True)))
