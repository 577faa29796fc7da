"""Weights that packages ship, one file a network, found by file name: `state_dict()` -> names and tensors."""

from importlib import import_module

from torch import Tensor, nn


def load(network: nn.Module, name: str) -> None:
    """Give the network these weights, layer by layer in order; the last layer, `classifier`, keeps its own.

    Raises ValueError if the two are not of one architecture.
    """
    weights: dict[str, Tensor] = import_module(f"training.pretrained.{name}").state_dict()
    own = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith("classifier.")}
    if [tensor.shape for tensor in own.values()] != [tensor.shape for tensor in weights.values()]:
        raise ValueError(f"the weights of {name} are not those of a {type(network).__name__}")
    network.load_state_dict(dict(zip(own, weights.values(), strict=True)), strict=False)
