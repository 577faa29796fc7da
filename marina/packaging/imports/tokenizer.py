"""Tokenizers of Hugging Face folders as codecs, compared with the library on texts of every length."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers.codecs.hugging_face import HuggingFaceCodec
from marina.errors import ModelImportError
from models.parts.sequence_classifier import PADDING, SequenceClassifier

MAX_TOKENS = 512  # of a text, for networks without a limit of their own
CHARACTERS = 20  # of a text, for each of its tokens, at most
SAMPLES = ("a", "An example. 一个例子。", "The same words again, and AGAIN. 再来一次。 ñ ß [PAD] [SEP] </s>")
LONG = "word 词 "
TOLERANCE = 1e-5  # of logits, relative to the largest


def codec_of(transformers: Any, folder: Path, network: SequenceClassifier) -> HuggingFaceCodec:
    """Return the codec; raises ModelImportError if there is no tokenizer, or if it differs from the library's."""
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as exc:  # of files that are missing, damaged, or of an unknown tokenizer
        raise ModelImportError(f"{folder}: no tokenizer can be read: {reason_of(exc)}") from exc
    if not getattr(tokenizer, "is_fast", False):
        raise ModelImportError(f"{folder} has no tokenizer.json: save it with tokenizer.save_pretrained()")
    problem = ""
    for limit in limits(tokenizer, network):
        words = limit - tokenizer.num_special_tokens_to_add()
        codec = HuggingFaceCodec(
            tokenizer.backend_tokenizer.to_str(), blank_of(tokenizer), tokenizer.unk_token_id, words, CHARACTERS * limit
        )
        problem = difference(tokenizer, network, codec, limit)
        if not problem:
            return codec
    raise ModelImportError(f"{folder}: {problem}")


def blank_of(tokenizer: Any) -> int:
    """Return the id of the token that explanations begin with: padding, or the unknown token, or the first."""
    return next((each for each in (tokenizer.pad_token_id, tokenizer.unk_token_id) if each is not None), 0)


def limits(tokenizer: Any, network: SequenceClassifier) -> Iterator[int]:
    """Yield how many tokens a text may have: as tokenizer and network report, then less what RoBERTa's positions take.

    RoBERTa counts positions from the id of its padding, plus one.
    """
    config: Any = network.model.config
    positions = getattr(config, "max_position_embeddings", None) or MAX_TOKENS
    most = min(tokenizer.model_max_length, positions)
    yield most
    if most > positions - network.blank - 1 > 0:
        yield positions - network.blank - 1


def difference(tokenizer: Any, network: SequenceClassifier, codec: HuggingFaceCodec, limit: int) -> str:
    """Return a line if codec and network differ from the library for one of the samples; empty if they agree."""
    texts = (*SAMPLES, LONG * limit)
    rows = [codec.numbers(codec.words(text)) for text in texts]
    try:
        with torch.inference_mode():
            own = torch.cat([batched(network, rows[:-1]), batched(network, rows[-1:])])
            library = [
                network.model(**tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")).logits
                for text in texts
            ]
    except Exception as exc:  # of the library: no padding token, not so many positions, ...
        return f"the network fails on texts of up to {limit} tokens: {reason_of(exc)}"
    expected = torch.cat(library)
    largest = float((own - expected).abs().max() / expected.abs().max().clamp(min=1))
    if not largest <= TOLERANCE:
        return f"the response would differ from the library's by {largest:.2g}: its tokenizer needs more than token ids"
    return ""


def batched(network: SequenceClassifier, rows: list[Tensor]) -> Tensor:
    """Return the logits of texts of different lengths in one batch."""
    logits: Tensor = network(pad_sequence(rows, batch_first=True, padding_value=PADDING))
    return logits


def reason_of(exc: Exception) -> str:
    """Return the first line of an error of the library."""
    return str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
