"""What our own `bert` has learned, which is to be trained first."""

from safetensors.torch import load_file
from torch import Tensor

from handlers import codecs
from handlers.codecs.wordpieces import WordPieceCodec
from training.trained import trained

ARGUMENTS: dict[str, int] = {}  # the classifier's own


def state_dict() -> dict[str, Tensor]:
    """Of the encoder."""
    weights = load_file(trained("bert") / "model.safetensors")
    return {key: tensor for key, tensor in weights.items() if key.startswith("features.")}


def tokenizer() -> str:
    """What it reads with."""
    return codecs.load(WordPieceCodec, trained("bert")).tokenizer
