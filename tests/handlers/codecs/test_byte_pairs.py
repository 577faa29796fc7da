"""Trained tokenizers: the same texts give the same one, so that an interrupted training can resume."""

import random

import pytest

from handlers.codecs.phrases import PhraseCodec
from handlers.codecs.subwords import SubwordCodec
from handlers.codecs.wordpieces import WordPieceCodec

FITS = {
    "wordpieces": lambda texts: WordPieceCodec.fit(texts, max_words=10, max_characters=100),
    "phrases": lambda texts: PhraseCodec.fit(texts, vocabulary_size=500, max_characters=100),
    "subwords": lambda texts: SubwordCodec.fit(texts, vocabulary_size=500, max_characters=100, max_tokens=10),
}


@pytest.fixture
def texts():
    """Words of which many pieces are equally frequent."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghij", k=draw.randint(2, 9))) for _ in range(300)]
    return [" ".join(draw.choices(words, k=8)) for _ in range(100)] + ["房间很干净", "房间很脏", "鱻"]


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_the_same_texts_give_the_same_codec(fit, texts):
    assert len({fit(texts).tokenizer for _ in range(4)}) == 1


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_a_character_is_known_if_it_comes_twice(fit, texts):
    codec = fit(texts)
    assert codec.unknown("房间鱻净") == ["鱻", "净"]
    assert codec.unknown("房间很") == []
