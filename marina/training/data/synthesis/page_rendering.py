"""Rendering of pages: a sheet that texts are drawn on, and its scan; the box of each line of text is recorded."""

import math
import re
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from marina.training.data.synthesis.text_rendering import SIZE, Face, glyphs, paper, printed, scanned

WIDTH = 1280  # pixels
PAD = 18  # pixels between a text and the edge of its cell; texts more than twice that apart are separate lines
MAX_ROTATION = 0.4  # degrees
FORM, VALUE = 0.75, 1.0  # darkness of the form's own words, and of the values filled in
RULE = 0.4  # darkness of the form's lines

Box = tuple[float, float, float, float]
Line = tuple[Box, str]


@dataclass
class Sheet:
    """A page as a mask, 255 where ink is, and its lines of text with their boxes.

    Values are printed in the faces `chinese` and `latin`, `em` pixels high.
    """

    height: int
    chinese: Face
    latin: Face
    em: int
    separate: bool  # whether labels and values are separate lines of text
    mask: Image.Image = field(init=False)
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mask = Image.new("L", (WIDTH, self.height))

    def strip(self, text: str, dark: float, em: float) -> Image.Image:
        """Return the text as a mask, with Latin characters in the Latin face; spaces only separate its parts."""
        parts = []
        for run in re.findall(r"[!-~]+|[^ -~]+", text):
            ink = glyphs(run, self.latin if run.isascii() and dark == VALUE else self.chinese)
            size = (max(1, round(ink.width * em / SIZE)), max(1, round(ink.height * em / SIZE)))
            parts.append(ink.resize(size, Image.Resampling.BOX).point(lambda level: level * dark))
        gap = 2 if " " not in text else round(em / 3)
        width = sum(part.width for part in parts) + gap * (len(parts) - 1)
        strip = Image.new("L", (width, max(part.height for part in parts)))
        x = 0
        for part in parts:
            strip.paste(part, (x, (strip.height - part.height) // 2))
            x += part.width + gap
        return strip

    def put(self, text: str, x: float, y: float, align: float = 0.0, dark: float = VALUE, em: float = 0) -> float:
        """Draw a line of text whose middle is at y and whose left end (align 0), middle (0.5) or right end (1) is at x.

        Return its right end.
        """
        return self._draw(self.strip(text, dark, em or self.em), text, x, y, align)

    def _draw(self, strip: Image.Image, text: str, x: float, y: float, align: float) -> float:
        left, top = round(x - align * strip.width), round(y - strip.height / 2)
        self.mask.paste(ImageChops.lighter(self.mask.crop(self._at(strip, left, top)), strip), (left, top))
        x1, y1, x2, y2 = strip.getbbox() or (0, 0, *strip.size)
        self.lines.append(((left + x1, top + y1, left + x2, top + y2), text.replace(" ", "")))
        return left + strip.width

    @staticmethod
    def _at(strip: Image.Image, left: int, top: int) -> tuple[int, int, int, int]:
        return left, top, left + strip.width, top + strip.height

    def labelled(self, label: str, value: str | None, x: float, y: float, column: float) -> None:
        """Draw a label and its value, directly after it or, if `separate`, in its own column."""
        ink = self.strip(label, FORM, self.em)
        if value is None or self.separate:
            end = self._draw(ink, label, x, y, 0)
            if value is not None:
                self.put(value, max(column, end + 2 * PAD + 8), y)
            return
        filled = self.strip(value, VALUE, self.em)
        both = Image.new("L", (ink.width + 6 + filled.width, max(ink.height, filled.height)))
        for part, left in ((ink, 0), (filled, ink.width + 6)):
            both.paste(part, (left, (both.height - part.height) // 2))
        self._draw(both, label + value, x, y, 0)

    def rule(self, *points: float) -> None:
        """Draw a thin line of the form: x1, y1, x2, y2."""
        ImageDraw.Draw(self.mask).line(points, fill=round(255 * RULE), width=1)

    def frame(self, left: float, top: float, right: float, bottom: float) -> None:
        """Draw a thin rectangle of the form."""
        ImageDraw.Draw(self.mask).rectangle((left, top, right, bottom), outline=round(255 * RULE))

    def wrapped(self, text: str, width: float) -> list[str]:
        """Divide the text into pieces of at most `width` pixels."""
        if not text or self.strip(text, VALUE, self.em).width <= width:
            return [text]
        pieces = [""]
        for character in text:
            if pieces[-1] and self.strip(pieces[-1] + character, VALUE, self.em).width > width:
                pieces.append("")
            pieces[-1] += character
        return pieces


def scan(sheet: Sheet, random: np.random.Generator) -> tuple[Image.Image, list[Line]]:
    """Return the sheet as a scanner sees it, slightly rotated, and its lines with the upright boxes around them."""
    angle = random.uniform(-MAX_ROTATION, MAX_ROTATION)
    mask = sheet.mask.rotate(angle, Image.Resampling.BILINEAR)
    grey = printed(paper(*mask.size, random), mask, random.uniform(0, 80))
    return scanned(grey, random), [(rotated(box, angle, mask.size), text) for box, text in sheet.lines]


def rotated(box: Box, angle: float, size: tuple[int, int]) -> Box:
    """Return the upright bounding box of a box rotated counter-clockwise about the middle of the page, in degrees.

    >>> [round(edge) for edge in rotated((10, 10, 20, 30), 90, (100, 100))]
    [10, 80, 30, 90]
    """
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    across, down = size[0] / 2, size[1] / 2
    corners = [(x - across, y - down) for x in box[0::2] for y in box[1::2]]
    xs = [cos * x + sin * y + across for x, y in corners]
    ys = [cos * y - sin * x + down for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)
