"""Requests of several pages: a PDF's response lists them, pages of all requests share batches, an image has one."""

import pytest
import torch
from PIL import Image
from torch import nn

from handlers.codecs.text_page import TextPageCodec
from handlers.documents.page_handler import PageHandler, document_schema
from handlers.errors import BadRequest
from handlers.response import INTEGER, NUMBER, STRING, array, schema
from handlers.text_detection import TextDetection
from tests.handlers.documents.test_text_detection import BOXES, perfect_output
from tests.support.bare import PNG, bare, make_request, pixels_of
from tests.support.samples import pdf, png
from tests.support.worker import SampleRequest

GREYS = (250, 200, 150)  # of the pages of THREE
EXPLAIN = {"explain": "True"}


def sheet(grey: int) -> Image.Image:
    return Image.new("L", (128, 128), grey)


THREE = pdf(*map(sheet, GREYS))


class Brightness(nn.Module):
    """Finds BOXES[0] on the brightest page, BOXES[1] on darker ones, nothing finite on black ones."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, batch):
        self.sizes.append(len(batch))
        outputs = []
        for page in batch:
            output = perfect_output(
                BOXES[:1] if page.amax() > 0.9 else BOXES[1:2], *(side // 16 for side in page.shape[1:])
            )
            outputs.append(output * (float("nan") if page.amax() < 0.1 else 1) + 0 * page.mean())
        return torch.stack(outputs)


@pytest.fixture
def detector(tmp_path):
    return bare(TextDetection, tmp_path, TextPageCodec(256), Brightness())


def respond(detector, *requests):
    """Return the contents of the responses, or the outputs that are not finite."""
    inputs = [detector.decode(request) for request in requests]
    outputs = detector.forward(detector.collate(inputs))
    assert len(outputs) == len(inputs)
    return [
        output if isinstance(output, torch.Tensor) and output.isnan().any() else detector.encode(output, decoded)
        for output, decoded in zip(outputs, inputs, strict=True)
    ]


def test_pages_of_a_pdf_are_listed_with_boxes_in_points(detector):
    (response,) = respond(detector, make_request({"body": THREE}))
    assert list(response) == ["pages"]
    assert [page["page"] for page in response["pages"]] == [1, 2, 3]
    for page, box in zip(response["pages"], (BOXES[0], BOXES[1], BOXES[1]), strict=True):
        assert (page["width"], page["height"]) == (128, 128)
        assert page["lines"][0]["box"] == pytest.approx(
            [edge / 2 for edge in box], abs=0.2
        )  # 256 pixels are 128 points


def test_a_pdf_of_one_page_and_a_chosen_page_have_pages_too(detector):
    for fields in ({"body": pdf(sheet(200))}, {"body": THREE, "pages": "2"}):
        (response,) = respond(detector, make_request(fields))
        assert [page["page"] for page in response["pages"]] == [2 if "pages" in fields else 1]
        assert len(response["pages"][0]["lines"]) == 1


def test_an_image_has_no_pages(detector):
    (response,) = respond(detector, make_request({"body": png(sheet(250).resize((256, 256)))}))
    assert list(response) == ["lines"]
    assert response["lines"][0]["box"] == pytest.approx(BOXES[0], abs=0.2)


def test_requests_keep_their_pages_in_a_batch_that_they_share(detector):
    image = make_request({"body": png(sheet(250).resize((256, 256)))})
    requests = [image, make_request({"body": THREE}), make_request({"body": THREE, "pages": "2-3"}), image]
    alone = [respond(detector, request)[0] for request in requests]
    detector.network.sizes.clear()
    assert respond(detector, *requests) == alone
    assert detector.network.sizes == [3, 3, 1]  # the card's batch size


def test_a_page_that_is_not_finite_rejects_its_own_request(detector):
    bad = make_request({"body": pdf(sheet(250), sheet(0))})
    first, second = respond(detector, bad, make_request({"body": THREE}))
    assert first.isnan().any()
    assert len(second["pages"]) == 3


def test_a_picture_shows_one_page(detector):
    with pytest.raises(
        BadRequest, match="a picture shows one page, and here are 3: choose one, as in pages=1"
    ) as caught:
        detector.decode(make_request({"body": THREE}, PNG))
    assert caught.value.field == "pages"
    decoded = detector.decode(make_request({"body": THREE, "pages": "2"}, PNG))
    (output,) = detector.forward(detector.collate([decoded]))
    pixels = pixels_of(detector.encode(output, decoded).body)
    assert pixels.shape == (256, 256, 3)
    assert pixels[0, 0].tolist() == pytest.approx([200] * 3, abs=2)


@pytest.mark.parametrize(("pages", "explained"), [(None, 1), ("2-3", 2)])
@pytest.mark.parametrize("name", ["ctpn", "invoice"])
def test_the_first_page_that_is_chosen_is_explained(worker, name, pages, explained):
    fields = {"body": THREE} | ({"pages": pages} if pages else {})
    (response,) = worker(name).send(SampleRequest(fields, EXPLAIN))
    assert response.json["target"]["page"] == explained
    assert max(response.json["target"]["box"]) <= 128
    (picture,) = worker(name).send(SampleRequest(fields, EXPLAIN | PNG))
    assert picture.content_type == "image/png"


def test_an_explained_image_has_no_page(worker):
    (response,) = worker("ctpn").send(SampleRequest({"body": png(sheet(250))}, EXPLAIN))
    assert "page" not in response.json["target"]


def test_both_tasks_of_pages_share_the_base_class(worker):
    assert all(isinstance(worker(name).handler, PageHandler) for name in ("ctpn", "invoice"))


def test_a_response_has_members_of_an_image_or_pages_that_have_them():
    of_image, of_pdf = document_schema(lines=array(NUMBER))["oneOf"]
    assert of_image == schema(model=STRING, version=STRING, lines=array(NUMBER))
    page = schema(page=INTEGER, width=NUMBER, height=NUMBER, lines=array(NUMBER))
    assert of_pdf == schema(model=STRING, version=STRING, pages=array(page))
