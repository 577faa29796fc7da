"""The parts as one: what the detector finds is cut out, read and explained; what is not there is null."""

import base64
import io

import pytest
import torch
from PIL import Image

import models
from handlers.codecs.invoice_lines import InvoiceCodec
from handlers.codecs.text_line import Character, Reading, TextLineCodec
from handlers.codecs.text_page import TextPageCodec
from handlers.documents import page_reader
from marina.training.tasks.document_ocr.document_metrics import details, score
from tests.handlers.documents.test_text_detection import perfect_output
from tests.support.samples import picture
from tests.support.worker import SampleRequest
from tests.tasks.document_ocr import ALPHABET

CODEC = InvoiceCodec(1280, ALPHABET, 32, 1024)
BOXES = [[20.0, 30.0, 200.0, 52.0], [100.0, 90.0, 240.0, 130.0]]
EXPLAIN = {"explain": "True"}


def blank() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (256, 192), 250).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def finder(worker, monkeypatch):
    """A worker that finds two lines on every page, and reads a total in both."""
    handler = worker("invoice").handler
    proposals = perfect_output(BOXES).unsqueeze(0)
    monkeypatch.setattr(handler, "optimized_network", lambda batch: proposals.expand(len(batch), -1, -1, -1, -1))
    reading = Reading([Character(one, 0.9, place, place) for place, one in enumerate("（小写）￥12.50")], 0.5)
    monkeypatch.setattr(TextLineCodec, "read", lambda codec, logits: reading)
    return worker("invoice")


def null(fields) -> bool:
    return all(null(value) if isinstance(value, dict) else value in (None, []) for value in fields.values())


def test_a_blank_page_has_no_lines_and_no_fields(worker):
    for image in (blank(), picture(size=(1, 1))):
        (response,) = worker("invoice").send(SampleRequest({"body": image}))
        assert response.json["lines"] == []
        assert null(response.json["fields"])


def test_lines_are_read_and_their_boxes_are_of_the_image_as_sent(finder):
    request = SampleRequest({"body": picture(size=(2560, 2560))})  # the network sees half of it
    (response,) = finder.send(request)
    found = [line["box"] for line in response.json["lines"]]
    assert found == [pytest.approx([2 * corner for corner in box], abs=0.3) for box in BOXES]
    assert [line["text"] for line in response.json["lines"]] == ["（小写）￥12.50"] * 2
    assert response.json["fields"]["total"] == "12.50"
    assert null(response.json["fields"] | {"total": None})


def test_the_annotated_picture_shows_the_boxes_on_the_page(finder):
    (response,) = finder.send(SampleRequest({"body": picture(size=(256, 256))}, {"accept": "image/png"}))
    assert response.content_type == "image/png"
    image = Image.open(io.BytesIO(response.body))
    assert (image.size, image.getpixel((100, 30))) == ((256, 256), (255, 0, 0))


def test_a_field_is_explained_by_its_line(finder):
    fields = {"body": picture(size=(256, 256)), "target": "total"}
    (response,) = finder.send(SampleRequest(fields, EXPLAIN))
    assert response.json["target"]["field"] == "total"
    assert response.json["target"]["box"] == pytest.approx(BOXES[0], abs=0.3)
    (bare,) = finder.send(SampleRequest(fields, {**EXPLAIN, "accept": "image/png"}))
    assert bare.body == base64.b64decode(response.json["heatmap"])
    assert Image.open(io.BytesIO(bare.body)).height == 32 * 8


DATE, TOTAL, NAME = "开票日期：2026年01月31日", "（小写）￥12.50", "王金"


@pytest.fixture
def read(worker, monkeypatch):
    """`read(texts)`: the invoice's worker, which reads these lines on every page; the scores rise from line to line."""

    def reads(*texts):
        lines = [
            page_reader.RecognizedLine(
                [10.0 * number, 20.0, 100.0, 40.0],
                0.1234567 * (number + 1),
                torch.full((40, 32), 10 + number, dtype=torch.uint8),
                Reading([Character(one, 0.9, place, place) for place, one in enumerate(text)], 0.5),
            )
            for number, text in enumerate(texts)
        ]
        monkeypatch.setattr(page_reader, "recognize_lines", lambda *_: [lines])
        return worker("invoice")

    return reads


@pytest.mark.parametrize(
    ("texts", "target", "explained"),
    [
        ((NAME, TOTAL, DATE), None, TOTAL),
        ((NAME, TOTAL, DATE), "date", DATE),
        ((NAME, DATE), None, DATE),
        ((DATE, NAME), None, NAME),
    ],
    ids=["total", "field", "best score", "best score beside a field"],
)
def test_the_explained_line_is_the_fields_or_the_totals_or_the_most_certain(read, texts, target, explained):
    fields = {"body": picture(size=(256, 256))} | ({"target": target} if target else {})
    (response,) = read(*texts).send(SampleRequest(fields, EXPLAIN))
    place = texts.index(explained)
    assert response.json["target"] == {
        "field": target,
        "score": round(0.1234567 * (place + 1), 6),
        "box": pytest.approx([10 * place, 20, 100, 40], abs=0.01),
        "text": explained,
        "confidence": 0.5,
    }


def test_an_explanation_is_of_the_whole_line_relative_to_paper(read, monkeypatch):
    worker, made = read(NAME, TOTAL), []
    monkeypatch.setattr(worker.handler, "explain_score", lambda *given: made.append(given) or {})
    worker.send(SampleRequest({"body": picture(size=(256, 256))}, EXPLAIN))
    ((pixels, batch, paper, score, as_png),) = made
    assert pixels.shape == (1, 32, 40)
    assert set(pixels.flatten().tolist()) == {255 - 11}
    torch.testing.assert_close(batch, torch.full((1, 1, 32, 40), 11 / 255))
    assert (paper, as_png) == (1 / 255, False)
    with torch.no_grad():
        best = worker.handler.network.reader(batch).log_softmax(dim=2).amax(dim=2)  # (1, T)
        torch.testing.assert_close(score(batch), best.sum(dim=1))


def test_a_page_without_fields_has_no_target(read):
    fields = {"body": picture(size=(256, 256)), "target": "total"}
    (response,) = read(NAME).send(SampleRequest(fields, EXPLAIN))
    assert (response.status, response.json["field"]) == (400, "target")
    assert response.json["message"].endswith("those are: none")


@pytest.mark.parametrize("target", ["", "buyer.name", "items.0.amount", "total.x", "0"])
def test_a_field_that_was_not_found_is_refused_with_those_that_were(finder, target):
    good, bad = finder.send(
        SampleRequest({"body": picture(size=(256, 256))}),
        SampleRequest({"body": picture(size=(256, 256)), "target": target}, EXPLAIN),
    )
    assert (good.status, bad.status, bad.json["field"]) == (200, 400, "target")
    assert "those are: total" in bad.json["message"]


def test_a_page_beside_a_larger_one_is_read_the_same():
    torch.manual_seed(0)
    network = models.find("invoice").network(len(ALPHABET) + 1).eval()
    page = TextPageCodec(1280).page(picture("L", size=(256, 160)))
    alone = CODEC.page.normalize(page.pixels.unsqueeze(0))
    wide = torch.nn.functional.pad(alone, (0, 128, 0, 64))
    (line, *_) = page_reader.detect_lines(perfect_output(BOXES).unsqueeze(0))[0]
    with torch.inference_mode():
        one, other = (
            page_reader.recognize_lines(CODEC, batch, [[line]], network.reader)[0][0] for batch in (alone, wide)
        )
    assert torch.equal(one.ink, other.ink)
    assert one.reading.text == other.reading.text


def test_lines_keep_their_order_however_they_are_batched():
    inks = [torch.full((width, 32), width, dtype=torch.uint8) for width in (80, 16, 200, 16, 120)]
    outputs = CODEC.logits(inks, lambda batch: batch.amax(dim=(1, 2, 3)).unsqueeze(1) * 255)
    assert [round(float(output)) for output in outputs] == [80, 16, 200, 16, 120]


def test_a_reader_that_gives_no_number_costs_its_page_alone():
    batch = torch.rand(2, 1, 256, 256).clamp(min=0.1)
    found = page_reader.detect_lines(perfect_output(BOXES).unsqueeze(0).expand(2, -1, -1, -1, -1))
    calls = iter((float("nan"), 0.0, 0.0, 0.0))

    def read(lines):
        return torch.stack([torch.full((4, len(ALPHABET) + 1), next(calls)) for _ in lines])

    bad, good = page_reader.recognize_lines(CODEC, batch, found, read)
    assert {type(bad), type(good)} == {torch.Tensor, list}


def test_fields_are_counted_cell_by_cell():
    line = {"box": [0, 0, 10, 10], "text": "ab"}
    truth = {"fields": {"total": "1.00", "date": None, "items": [{"tax": "2"}, {"tax": "3"}]}, "lines": [line]}
    assert score([truth], [truth])["fields_exact"] == 1
    response = {"fields": {"total": "1.00", "date": "x", "items": [{"tax": "2"}]}, "lines": [{**line, "text": "abc"}]}
    scores = score([truth], [response])
    assert (scores["fields_exact"], scores["character_error_rate"], scores["f1"]) == (0.5, 0.5, 1)
    more = {**response["fields"], "items": [{"tax": "2"}, {"tax": "3"}, {"tax": "4"}]}
    assert score([truth], [{**response, "fields": more}])["fields_exact"] == 0.6
    shown = details([truth], [response])
    assert shown["fields"] == {"total": 1.0, "date": 0.0, "items.tax": 0.5}
    assert {"field": "date", "truth": None, "said": "x"} in shown["wrong"]
