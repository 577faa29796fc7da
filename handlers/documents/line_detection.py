"""Detection of lines on pages, with a second pass for small print."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn.functional import interpolate

from handlers.codecs.text_page import remove_padding
from handlers.documents.text_proposals import TextLine, connect_lines

SMALL = 14.0  # pixels: pages whose lines have a lower median height are enlarged
FACTOR = 2
BLACK = 1 / 255  # the darkest pixel of a page, 0 being padding

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Detection:
    """The lines of a page, from top to bottom, with boxes in its pixels; none if the output is not finite.

    `output` is the network's, (rows, columns, 10, 4), of the page, or of the `enlarged` page.
    """

    lines: list[TextLine]
    output: Tensor
    enlarged: bool = False


def detect(network: Network, batch: Tensor) -> list[Detection]:
    """Detect the lines of a batch of pages, (N, 1, H, W), padded with zeros.

    A proposal is 16 pixels wide whatever its height: of dense small print, which bends in a photograph, it covers parts
    of two lines. Such a page is enlarged and detected again, by itself, since it takes four times as much memory.
    """
    found = []
    for page, output in zip(batch, network(batch).cpu(), strict=True):
        finite = bool(output.isfinite().all())
        first = Detection(connect_lines(output) if finite else [], output)
        second = enlarged_detection(network, page) if is_small(first.lines) else first
        found.append(second if second.lines else first)
    return found


def is_small(lines: list[TextLine]) -> bool:
    """Return whether the median height of the lines is below SMALL."""
    return bool(lines) and statistics.median(line.box[3] - line.box[1] for line in lines) < SMALL


def enlarged_detection(network: Network, page: Tensor) -> Detection:
    """Detect the lines of a page, (1, H, W), after enlarging it; boxes are in pixels of the page itself."""
    (output,) = network(enlarge(remove_padding(page).unsqueeze(0))).cpu()
    lines = connect_lines(output) if output.isfinite().all() else []
    return Detection([smaller(line) for line in lines], output, enlarged=True)


def enlarge(pages: Tensor) -> Tensor:
    """Enlarge pages, (N, 1, H, W), by FACTOR; they must have no padding."""
    return interpolate(pages, scale_factor=FACTOR, mode="bicubic", align_corners=False).clamp(BLACK, 1.0)


def smaller(line: TextLine) -> TextLine:
    """Return a line of the enlarged page with its box on the page itself."""
    x1, y1, x2, y2 = (edge / FACTOR for edge in line.box)
    return replace(line, box=(x1, y1, x2, y2))
