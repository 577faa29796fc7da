"""Weights that training starts from: published ones that packages ship, and those of our own trained models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from torch import Tensor, nn

from marina.training import artifacts

MODULES = {  # name of the weights, as in a recipe's `pretrained` -> module with WEIGHTS
    "bert": "text_encoders",
    "efficientnet_lite0": "image_backbones",
    "efficientnet_lite0_imagenet": "image_backbones",
    "hed_vgg16": "image_backbones",
    "minilm": "text_encoders",
}
VERSION = "1.0"  # of our own models that training starts from


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights of a network's `features`, or of the `whole` network; for a text network also its tokenizer and its
    arguments.

    `state_dict()` returns the tensors by name, in the order of the layers; `tokenizer()` the JSON of the tokenizers
    library that belongs to the weights; `arguments` are those of the network.
    """

    state_dict: Callable[[], dict[str, Tensor]]
    tokenizer: Callable[[], str] | None = None
    arguments: Mapping[str, int] = field(default_factory=dict)
    whole: bool = False


def find(name: str) -> PretrainedWeights:
    """Return the weights with this name. Raises LookupError if there are none."""
    if name not in MODULES:
        raise LookupError(f"no pretrained weights {name!r}; there are: {', '.join(MODULES)}")
    weights: PretrainedWeights = import_module(f"{__name__}.{MODULES[name]}").WEIGHTS[name]
    return weights


def load(network: nn.Module, name: str) -> None:
    """Load weights into the network's `features`, layer by layer in order, as far as its layers go.

    The other layers of the network keep their values; weights of the whole network leave none. Raises ValueError if the
    shapes of the layers differ from those of the weights.
    """
    found = find(name)
    weights = found.state_dict()
    part = network if found.whole else getattr(network, "features", nn.Identity())
    own = part.state_dict()
    first = list(weights.values())[: len(own)]
    if not own or [tensor.shape for tensor in own.values()] != [tensor.shape for tensor in first]:
        where = ", its classes included" if found.whole else ".features"
        raise ValueError(f"the weights of {name} do not match the layers of {type(network).__name__}{where}")
    part.load_state_dict(dict(zip(own, first, strict=True)))


def trained_artifacts(name: str) -> Path:
    """Return the artifacts folder of our own model with this name, for a warm start.

    Raises LookupError if the model is not trained.
    """
    folder = artifacts.folder_of(name, VERSION)
    if artifacts.finished(folder) is None:
        raise LookupError(f"this training starts from the weights of {name} {VERSION}: make train MODEL={name}")
    return folder
