"""Sequence classifiers of Hugging Face transformers, as networks of token ids."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

PADDING = -1  # no token's id: a text may contain the library's own padding token
MISSING = (
    "transformers is not installed: models of Hugging Face need it here and on every machine that serves them, "
    "pip install --no-deps --require-hashes -r requirements/huggingface.lock"
)


class SequenceClassifier(nn.Module):
    """The library's network for the content of a config.json. It is of the library's own code, never of the model's."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        try:
            library: Any = import_module("transformers")
        except ImportError as exc:
            raise ImportError(MISSING) from exc
        known = library.AutoConfig.for_model(**config)
        build = library.AutoModelForSequenceClassification.from_config
        self.model: Any = build(known, trust_remote_code=False)
        self.blank = int(getattr(known, "pad_token_id", None) or 0)

    @property
    def embedding(self) -> nn.Module:
        """The embedding of token ids."""
        found: nn.Module = self.model.get_input_embeddings()
        return found

    def forward(self, batch: Tensor) -> Tensor:
        """Return logits, (N, classes), of token ids, (N, T), with PADDING at the end of the shorter texts."""
        own = batch != PADDING
        logits: Tensor = self.model(torch.where(own, batch, self.blank), attention_mask=own.long()).logits
        return logits
