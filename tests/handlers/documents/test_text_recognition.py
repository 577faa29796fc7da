"""Lines of text: how their images become ink, how frames become characters, and that neighbours change nothing."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.rnn import pad_sequence

import models
from handlers.codecs.text_line import BLANK, MARGIN_COLUMNS, STRIDE, TextLineCodec, path_score
from handlers.errors import BadRequest
from handlers.runtime.integrated_gradients import integrated_gradients
from handlers.text_recognition import TextRecognition as Handler
from handlers.vision.drawing import heatmap
from marina.training.tasks.text_recognition import TextRecognition
from tests.support.bare import bare, make_request, same_picture
from tests.support.samples import picture, png
from tests.support.worker import SampleRequest
from tests.tasks.text_recognition import ALPHABET

CODEC = TextLineCodec(ALPHABET, height=32, max_width=1024)
EXPLAIN = {"explain": "True"}


def frames(*classes: int) -> torch.Tensor:
    """(T, classes): each frame gives 0.9 to its class."""
    share = torch.full((len(classes), len(ALPHABET) + 1), 0.1 / len(ALPHABET))
    share[range(len(classes)), classes] = 0.9
    return share.log()


def test_the_best_path_joins_repeats_and_leaves_blanks_out():
    a, b = CODEC.numbers("ab").tolist()
    reading = CODEC.read(frames(BLANK, a, a, BLANK, a, b, b, BLANK))
    assert reading.text == "aab"
    assert [(one.first, one.last) for one in reading.characters] == [(1, 2), (4, 4), (5, 6)]
    assert [one.confidence for one in reading.characters] == pytest.approx([0.9] * 3)
    assert reading.confidence == pytest.approx(0.9**8)
    assert CODEC.read(frames(BLANK, BLANK)).text == ""


def test_ink_keeps_proportions_and_leaves_zero_for_padding():
    for size, width in (((100, 20), 160), ((100, 40), 80), ((4000, 20), 1024), ((1, 100), 16)):
        ink = CODEC.ink(picture(size=size))
        assert ink.shape == (MARGIN_COLUMNS + width + MARGIN_COLUMNS, 32)
        assert (int(ink.min()), int(ink.max())) == (1, 255)
    flat = io.BytesIO()
    Image.new("L", (64, 32), 200).save(flat, "PNG")
    assert CODEC.ink(flat.getvalue()).min() >= 1


@pytest.mark.parametrize(("paper", "letters"), [(250, 10), (10, 250)])
def test_what_there_is_less_of_is_ink(paper, letters):
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(np.uint8([[paper] * 40 + [letters] * 24]), 32, axis=0)).save(buffer, "PNG")
    ink = CODEC.ink(buffer.getvalue())
    assert (ink[: MARGIN_COLUMNS + 38] == 1).all()
    assert (ink[MARGIN_COLUMNS + 42 : -MARGIN_COLUMNS] >= 250).all()
    assert (ink[-MARGIN_COLUMNS:] == 1).all()


@pytest.mark.parametrize("inverted", [False, True], ids=["dark on light", "light on dark"])
def test_a_shadow_is_no_ink(inverted):
    lit = np.full((32, 320), 240.0)
    lit[8:24, 20:300:20] = lit[8:24, 21:301:20] = 40.0  # a stroke every 20 columns
    shadow = np.linspace(0.35, 1.0, 320)
    plain, shaded = (
        CODEC.ink_of(Image.fromarray((255 - page if inverted else page).round().astype(np.uint8)))
        for page in (lit, lit * shadow)
    )
    own = slice(MARGIN_COLUMNS, -MARGIN_COLUMNS)
    assert ((plain[own] > 128) == (shaded[own] > 128)).all()
    assert shaded[own][shaded[own] <= 128].float().mean() < 25


def test_an_alphabet_is_every_character_once():
    codec = TextLineCodec.fit(["票好", "a 好"], 32, 1024)
    assert (codec.alphabet, codec.height, codec.max_width) == (" a好票", 32, 1024)
    assert codec.numbers("").dtype == torch.int64
    assert codec.numbers("a票x").tolist() == [2, 4]  # what it lacks is left out


def test_a_wider_neighbour_changes_nothing():
    torch.manual_seed(0)
    network = models.find("crnn").network(num_classes=16).eval()
    narrow, wide = (torch.randint(1, 256, (width, 32), dtype=torch.uint8) for width in (48, 200))
    alone = CODEC.normalize(narrow.unsqueeze(0))
    together = CODEC.normalize(pad_sequence([narrow, wide], batch_first=True))
    with torch.inference_mode():
        one, both = network(alone)[0], network(together)[0]
    assert (len(one), len(both)) == (12, 50)
    torch.testing.assert_close(both[:12], one, atol=1e-5, rtol=1e-5)
    padding = both[12:].softmax(dim=1)
    assert (padding[:, BLANK] == 1).all()
    assert CODEC.read(both).confidence == pytest.approx(CODEC.read(one).confidence)


def test_a_character_is_explained_and_the_picture_is_of_the_line(worker):
    request = SampleRequest({"body": picture(size=(120, 30))})
    (read,) = worker("crnn").send(request)
    last = len(read.json["characters"]) - 1
    (response,) = worker("crnn").send(SampleRequest({**request.fields, "target": str(last)}, EXPLAIN))
    assert response.json["target"] == {
        "text": read.json["characters"][last]["character"],
        "confidence": pytest.approx(read.json["characters"][last]["confidence"], abs=1e-4),
        "position": last,
    }
    (bare,) = worker("crnn").send(
        SampleRequest({**request.fields, "target": str(last)}, {**EXPLAIN, "accept": "image/png"})
    )
    assert bare.content_type == "image/png"
    assert bare.body == base64.b64decode(response.json["heatmap"])
    assert Image.open(io.BytesIO(bare.body)).size == ((128 + 2 * MARGIN_COLUMNS) * 8, 32 * 8)


class Ink(nn.Module):
    """Frames with ink are an "a", the others blank."""

    def forward(self, lines):  # (N, 1, height, W) -> (N, T, classes)
        ink = lines.mean(dim=(1, 2)).unflatten(1, (-1, STRIDE)).mean(dim=2)  # (N, T)
        logits = torch.zeros(*ink.shape, len(ALPHABET) + 1)
        (number,) = CODEC.numbers("a").tolist()
        return torch.cat([logits[..., :number], (ink * 8 - 1).unsqueeze(2), logits[..., number + 1 :]], dim=2)


@pytest.fixture
def recognizer(tmp_path):
    return bare(Handler, tmp_path, CODEC, Ink())


def two_strokes() -> bytes:
    page = np.full((32, 64), 250, np.uint8)
    page[4:28, 8:16] = page[4:28, 40:52] = 10
    return png(Image.fromarray(page))


def test_members_of_a_response_are_rounded(recognizer):
    made = recognizer.decode(make_request({"image": two_strokes()}))
    output = recognizer.network(recognizer.collate([made]))[0]
    reading = CODEC.read(output)
    assert recognizer.encode(output, made) == {
        "text": "aa",
        "confidence": round(reading.confidence, 6),
        "characters": [{"character": "a", "confidence": round(one.confidence, 6)} for one in reading.characters],
    }


@pytest.mark.parametrize("target", [None, "0", "1"])
def test_the_path_or_one_character_is_explained_relative_to_paper(recognizer, target):
    made = recognizer.decode(make_request({"image": two_strokes()}))
    batch = recognizer.collate([made])
    logits = recognizer.network(batch)[0]
    reading = CODEC.read(logits)
    named = {"text": "aa", "confidence": round(reading.confidence, 6)}
    first, last = 0, len(logits) - 1
    if target is not None:
        one = reading.characters[int(target)]
        first, last = one.first, one.last
        named = {"text": "a", "confidence": round(one.confidence, 6), "position": int(target)}
    response = recognizer.explain(made, target)
    assert response["target"] == named
    paper = torch.full_like(batch, 1 / 255)
    score = path_score(recognizer.network, logits, first, last)
    attributions, delta = integrated_gradients(score, batch, paper, steps=8, batch_size=3)
    assert response["convergence_delta"] == pytest.approx(delta, abs=1e-5)
    same_picture(response["heatmap"], heatmap(255 - made.value.T.unsqueeze(0), attributions[0, 0].detach()))


def test_a_position_after_the_last_is_refused_with_what_was_read(recognizer):
    made = recognizer.decode(make_request({"image": two_strokes()}))
    with pytest.raises(BadRequest, match="not a position in the text that was read, 'aa': 0 is its first") as caught:
        recognizer.explain(made, "2")
    assert caught.value.field == "target"


@pytest.mark.parametrize("target", ["-1", "999", "1.5", "a", "²", ""])
def test_a_position_that_was_not_read_is_refused(worker, target):
    (response,) = worker("crnn").send(SampleRequest({"body": picture(), "target": target}, EXPLAIN))
    assert (response.status, response.json["field"]) == (400, "target")


def test_scores_tell_the_scripts_apart():
    responses = [{"text": text} for text in ("abcd", "abd", "发票", "发")]
    scores = TextRecognition.score(["abcd", "abcd", "发票", "发票"], responses)
    assert scores == {
        "character_error_rate": pytest.approx(2 / 12),
        "character_error_rate_latin": pytest.approx(1 / 8),
        "character_error_rate_chinese": pytest.approx(1 / 4),
        "accuracy": 0.5,
    }
    assert "character_error_rate_chinese" not in TextRecognition.score(["ab"], [{"text": "ab"}])
