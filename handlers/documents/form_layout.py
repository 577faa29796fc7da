"""Layout of a form: labels, the values beside them, rows and columns, from lines of text with boxes."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

Box = tuple[float, float, float, float]

MIN_LABEL_MATCH = 0.75  # share of a label's characters that are recognized correctly, at least
MAX_SLOPE = 0.05  # of a page
MAX_GAP = 10.0  # line heights: largest distance of a value from its label's line
ROW_TOLERANCE = 0.55  # line heights: largest vertical distance of two lines of a row
BRACKETS = str.maketrans("():", "（）：")


@dataclass(frozen=True)
class FormLine:
    """A line: `place` is its index among those recognized, `y` its vertical middle once the page's slope is removed.

    `label` is the one that it begins with, if any, and `rest` the text behind it.
    """

    text: str
    box: Box
    place: int
    y: float
    label: str | None
    rest: str

    @property
    def x(self) -> float:
        return (self.box[0] + self.box[2]) / 2


class Form:
    """The lines of a page with `labels`; those in `headers` are column headers in one row, which gives the slope."""

    def __init__(
        self, texts: Sequence[str], boxes: Sequence[Box], labels: Iterable[str], headers: Sequence[str]
    ) -> None:
        known = [match_label(text, labels) for text in texts]
        places = [place for place, (label, rest) in enumerate(known) if label in headers and not rest]
        slope = slope_of([boxes[place] for place in places])
        self.lines = [
            FormLine(text, box, place, (box[1] + box[3]) / 2 - slope * (box[0] + box[2]) / 2, *known[place])
            for place, (text, box) in enumerate(zip(texts, boxes, strict=True))
        ]
        self.height = statistics.median(box[3] - box[1] for box in boxes) if boxes else 0.0
        self._heads = [self.lines[place] for place in places]

    @cached_property
    def headers(self) -> Mapping[str, FormLine]:
        """Column headers of the table by their labels, from left to right, without those of another row."""
        if not self._heads:
            return {}
        row = statistics.median(line.y for line in self._heads)
        found = [line for line in self._heads if self.same_row(line.y, row)]
        return {str(line.label): line for line in sorted(found, key=lambda line: line.x)}

    def same_row(self, one: float, other: float) -> bool:
        """Return whether two heights are within ROW_TOLERANCE of each other."""
        return abs(one - other) <= ROW_TOLERANCE * self.height

    def find_label(self, label: str, low: float = float("-inf"), high: float = float("inf")) -> FormLine | None:
        """Return the topmost line that begins with this label, strictly between two heights."""
        found = [line for line in self.lines if line.label == label and low < line.y < high]
        return min(found, key=lambda line: line.y, default=None)

    def right_of(self, line: FormLine) -> FormLine | None:
        """Return the nearest line to the right in the same row, unless it is further than MAX_GAP or has a label."""
        found = [
            other
            for other in self.lines
            if self.same_row(other.y, line.y) and -self.height < other.box[0] - line.box[2] < MAX_GAP * self.height
            if other is not line
        ]
        nearest = min(found, key=lambda other: other.box[0], default=None)
        return nearest if nearest is not None and nearest.label is None else None

    def rows(self, lines: Iterable[FormLine]) -> list[list[FormLine]]:
        """Group lines into rows, from top to bottom, each from left to right."""
        rows: list[list[FormLine]] = []
        for line in sorted(lines, key=lambda line: line.y):
            if rows and self.same_row(statistics.mean(other.y for other in rows[-1]), line.y):
                rows[-1].append(line)
            else:
                rows.append([line])
        return [sorted(row, key=lambda line: line.x) for row in rows]

    def column(self, line: FormLine) -> str | None:
        """Return the header of the line's column: columns are divided midway between their headers."""
        headers = list(self.headers.items())
        for (label, head), (_, following) in pairwise(headers):
            if line.x < (head.box[2] + following.box[0]) / 2:
                return label
        return headers[-1][0] if headers else None


def match_label(text: str, labels: Iterable[str]) -> tuple[str | None, str]:
    """Return the label that the text begins with, if any, and the text behind it.

    Of a label's characters at least MIN_LABEL_MATCH must be right.
    """
    plain = text.translate(BRACKETS)

    def alike(label: str) -> float:
        return sum(one == other for one, other in zip(plain, label, strict=False)) / len(label)

    best = max(labels, key=lambda label: (alike(label), len(label)))
    return (best, text[len(best) :].lstrip("：:")) if alike(best) >= MIN_LABEL_MATCH else (None, text)


def slope_of(boxes: Sequence[Box]) -> float:
    """Return the slope of boxes in one row: the median over all pairs, robust against a few in another row."""
    middles = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in boxes]
    slopes = [(y - v) / (x - u) for (x, y), (u, v) in combinations(middles, 2) if x != u]
    return statistics.median(found) if (found := [slope for slope in slopes if abs(slope) < MAX_SLOPE]) else 0.0
