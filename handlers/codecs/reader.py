"""The codec of a classifier of texts: of words, or of BERT's pieces of them."""

import json
from pathlib import Path

from handlers import codecs
from handlers.codecs.text import TextCodec


def load(folder: Path) -> TextCodec:
    """Whichever training left. Both split a text, frame what is read of it, number words, and know some."""
    if "tokenizer" not in json.loads((folder / codecs.FILE).read_text(encoding="utf-8")):
        return codecs.load(TextCodec, folder)
    from handlers.codecs.wordpieces import WordPieceCodec  # its library is needed for this kind alone

    return codecs.load(WordPieceCodec, folder)  # type: ignore[return-value]
