"""A photographed page, curved and half in shadow, read by the trained models: scikit-image's `page`."""

import json

import pytest
import skimage.data
from PIL import Image
from torchmetrics.functional.text import char_error_rate

from marina.hosting.host import Host, HostedRequest
from marina.settings import ROOT
from tests.support.samples import png

# Its seven complete lines; the upper half of an eighth is at the edge.
TRUTH = [
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the",
    "histogram of grey values:",
    ">>> markers = np.zeros_like(coins)",
]
MARGIN = 0.15  # of a line's height: paper around its box
TRAINED = {name: ROOT / "artifacts" / name / "1.0" for name in ("ctpn", "crnn")}


def respond(host: Host, image: Image.Image) -> dict:
    (response,) = host.respond([HostedRequest.of_body(png(image), "image/png")])
    assert response.status == 200
    return json.loads(response.body)


@pytest.mark.skipif(
    not all((folder / "card.json").is_file() for folder in TRAINED.values()),
    reason="ctpn and crnn are not trained on this machine: make train MODELS='ctpn crnn'",
)
def test_a_photographed_page_is_found_and_read():
    page = Image.fromarray(skimage.data.page())
    texts = []
    with Host.of_artifacts(TRAINED["ctpn"]) as detector, Host.of_artifacts(TRAINED["crnn"]) as reader:
        for line in respond(detector, page)["lines"]:
            x1, y1, x2, y2 = line["box"]
            margin = MARGIN * (y2 - y1)
            edges = (
                max(0, x1 - margin),
                max(0, y1 - margin),
                min(page.width, x2 + margin),
                min(page.height, y2 + margin),
            )
            texts.append(respond(reader, page.crop(edges))["text"])
    assert 7 <= len(texts) <= 9
    nearest = [min(texts, key=lambda text: float(char_error_rate([text], [line]))) for line in TRUTH]
    rate = float(char_error_rate(nearest, TRUTH))
    print(rate, texts)
    assert rate < 0.15  # measured: 0.09
