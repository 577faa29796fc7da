"""Texts: how they are read, cut into words and numbered, and what is refused."""

import pytest
import torch

from handlers.codecs.words import PAD, SPECIAL, UNK, TextCodec
from handlers.errors import BadRequest
from handlers.request import Request
from handlers.text.text_request import TextInput, text_content
from tests.support.worker import JSON

CODEC = TextCodec([*SPECIAL, "很", "好", "房间"], ["的", "了"], max_words=3, max_characters=20)


def refused(*arguments) -> str:
    with pytest.raises(BadRequest) as caught:
        text_content(*arguments)
    assert caught.value.field == "text"
    return caught.value.reason


def test_a_text_is_text_or_bytes_of_utf_8():
    assert text_content("很好", 2) == text_content("很好".encode(), 2) == "很好"
    assert text_content("很好!", 2, truncate=True) == "很好"
    assert text_content(" a ", 3) == " a "


def test_what_is_no_text_is_refused_with_the_reason():
    assert refused(b"ab\xff", 9) == "not valid UTF-8: invalid start byte at byte 2"
    for value in (None, 7, ["a"], {"text": "a"}):
        assert refused(value, 9) == 'send {"text": "..."}, or the text itself as a UTF-8 body'
    assert refused("很好!", 2) == "3 characters are over the limit of 2; truncate=true cuts"
    assert refused("很好!", 2, False) == "3 characters are over the limit of 2; truncate=true cuts"
    for value in ("", " \n\t　", b""):
        assert refused(value, 9) == "the text is empty"
    assert refused("  a", 2, True) == "the text is empty"  # what is left of it


def test_width_and_case_are_folded_and_links_and_names_left_out():
    assert TextCodec.clean("ＷｉＦｉ 很好") == "wifi 很好"
    assert TextCodec.clean("看http://t.cn/a1 吧").split() == ["看", "吧"]
    assert TextCodec.clean("看https://t.cn/a1 吧").split() == ["看", "吧"]
    assert TextCodec.clean("回复@小明-1: 好 //@小红:转 @小刚 发").split() == [":", "好", "发"]


def test_a_text_is_cut_into_words_without_stop_words_and_spaces():
    assert CODEC.split("房间的  很好了 Good") == ["房间", "很", "好", "good"]
    assert CODEC.words("房间的  很好了 Good") == ["房间", "很", "好"]  # three at most
    assert CODEC.prepare_tokens(("a", "b", "c", "d")) == ["a", "b", "c"]


def test_words_have_the_numbers_of_the_vocabulary():
    numbers = CODEC.numbers(["房间", "差", "很"])
    assert (numbers.tolist(), numbers.dtype) == ([4, UNK, 2], torch.int64)
    assert CODEC.numbers([]).tolist() == [UNK]  # an empty text still is a valid input
    assert (PAD, UNK) == (0, 1)


def test_what_is_known_is_a_word_of_the_vocabulary_and_not_a_mark():
    assert [CODEC.is_known(word) for word in ("房间", "差", "<PAD>", "<UNK>")] == [True, False, False, False]


def test_the_vocabulary_is_what_comes_often_the_most_frequent_first():
    texts = ["酒店 酒店 房间", "酒店 房间 早餐", "wifi WiFi 的 的 电梯"]
    codec = TextCodec.fit(texts, ["的"], 5, 100)
    assert codec.vocabulary == [*SPECIAL, "酒店", "wifi", "房间"]  # by count, then by character
    assert (codec.stop_words, codec.max_words, codec.max_characters) == (["的"], 5, 100)
    assert TextCodec.fit(texts, ["的"], 5, 100, min_count=3).vocabulary == [*SPECIAL, "酒店"]
    assert "早餐" in TextCodec.fit(texts, ["的"], 5, 100, min_count=1).vocabulary
    assert "房间" not in TextCodec.fit(["酒店 房间"] * 2, [], 1, 100).vocabulary  # behind what is read


def words_of(text, **more) -> TextInput:
    return TextInput.from_request(Request({"body": {"text": text, **more}}, JSON, "id"), CODEC)


def test_the_words_of_a_request_and_whether_there_were_more():
    assert words_of("房间很好") == TextInput(["房间", "很", "好"], False)
    assert words_of("房间很好 差", truncate=True) == TextInput(["房间", "很", "好"], True)
    assert words_of("房间很好", truncate=True).truncated is False
    assert words_of("好" * 30, truncate=True).truncated is True
    for text, reason in (("房间很好 差", "4 words are over the limit of 3"), ("好" * 21, "21 characters are over the")):
        with pytest.raises(BadRequest, match=reason) as caught:
            words_of(text)
        assert caught.value.field == "text"
        assert caught.value.reason.endswith("; truncate=true cuts")
