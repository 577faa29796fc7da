"""What our own `bert` has learned, which is to be trained first."""

import json

from safetensors.torch import load_file
from torch import Tensor

from handlers import codecs
from handlers.codecs.wordpieces import WordPieceCodec
from models.bert import BERT
from training import artifacts
from training.trained import trained

ARGUMENTS: dict[str, int] = {}  # the classifier's own


def state_dict() -> dict[str, Tensor]:
    """Of the encoder, in the order of its layers: a file of safetensors has an order of its own."""
    weights = load_file(trained("bert") / "model.safetensors")
    network = BERT(**json.loads((trained("bert") / artifacts.CARD).read_text(encoding="utf-8"))["network"])
    return {key: weights[f"features.{key}"] for key in network.features.state_dict()}


def tokenizer() -> str:
    """What it reads with."""
    return codecs.load(WordPieceCodec, trained("bert")).tokenizer
