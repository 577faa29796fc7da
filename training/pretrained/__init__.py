"""Weights that packages ship, one file a network, found by file name: `state_dict()` -> names and tensors."""

from importlib import import_module

from torch import Tensor, nn


def load(network: nn.Module, name: str) -> None:
    """Give the network these weights, layer by layer in order, as far as it goes; its last module keeps its own.

    Raises ValueError if its layers are not those of the file.
    """
    weights: dict[str, Tensor] = import_module(f"training.pretrained.{name}").state_dict()
    *_, (head, _) = network.named_children()
    own = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith(f"{head}.")}
    first = list(weights.values())[: len(own)]
    if [tensor.shape for tensor in own.values()] != [tensor.shape for tensor in first]:
        raise ValueError(f"the weights of {name} are not those of a {type(network).__name__}")
    network.load_state_dict(dict(zip(own, first, strict=True)), strict=False)
