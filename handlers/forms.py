"""Lines of text with their places, as a form: labels, what stands beside them, rows and columns."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

Box = tuple[float, float, float, float]

READ = 0.75  # of a label's characters, at least, are read right
STEEPEST = 0.05  # slope of a page
NEAR = 10.0  # heights of a line: a value is no further from its label's line
SAME = 0.55  # heights: the middles of lines of one row are no further apart
BRACKETS = str.maketrans("():", "（）：")


@dataclass(frozen=True)
class Line:
    """`place` is its number among those that were read; `y` its middle, as if the page were upright. `label` is the one
    that it begins with, None if with none, and `rest` the text behind it.
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
    """The lines of a page on which `labels` may stand; those in `heads` are in one row and say how it slopes."""

    def __init__(self, texts: Sequence[str], boxes: Sequence[Box], labels: Iterable[str], heads: Sequence[str]) -> None:
        known = [begins(text, labels) for text in texts]
        places = [place for place, (label, rest) in enumerate(known) if label in heads and not rest]
        slope = slope_of([boxes[place] for place in places])
        self.lines = [
            Line(text, box, place, (box[1] + box[3]) / 2 - slope * (box[0] + box[2]) / 2, *known[place])
            for place, (text, box) in enumerate(zip(texts, boxes, strict=True))
        ]
        self.height = statistics.median(box[3] - box[1] for box in boxes) if boxes else 0.0
        self._heads = [self.lines[place] for place in places]

    @cached_property
    def heads(self) -> Mapping[str, Line]:
        """The heads of a table's columns by their labels, from the left to the right; those of another row left out."""
        if not self._heads:
            return {}
        row = statistics.median(line.y for line in self._heads)
        found = [line for line in self._heads if self.level(line.y, row)]
        return {str(line.label): line for line in sorted(found, key=lambda line: line.x)}

    def level(self, one: float, other: float) -> bool:
        return abs(one - other) <= SAME * self.height

    def labelled(self, label: str, low: float = float("-inf"), high: float = float("inf")) -> Line | None:
        """The uppermost line between two heights that begins with this label."""
        found = [line for line in self.lines if line.label == label and low < line.y < high]
        return min(found, key=lambda line: line.y, default=None)

    def beside(self, line: Line) -> Line | None:
        """The nearest line to the right in the same row, unless it is far off or begins with a label, too."""
        found = [
            other
            for other in self.lines
            if self.level(other.y, line.y) and -self.height < other.box[0] - line.box[2] < NEAR * self.height
            if other is not line
        ]
        nearest = min(found, key=lambda other: other.box[0], default=None)
        return nearest if nearest is not None and nearest.label is None else None

    def rows(self, lines: Iterable[Line]) -> list[list[Line]]:
        """The lines row by row, each from the left to the right."""
        rows: list[list[Line]] = []
        for line in sorted(lines, key=lambda line: line.y):
            if rows and self.level(statistics.mean(other.y for other in rows[-1]), line.y):
                rows[-1].append(line)
            else:
                rows.append([line])
        return [sorted(row, key=lambda line: line.x) for row in rows]

    def column(self, line: Line) -> str | None:
        """The head that the line stands under: columns part midway between their heads."""
        heads = list(self.heads.items())
        for (label, head), (_, following) in pairwise(heads):
            if line.x < (head.box[2] + following.box[0]) / 2:
                return label
        return heads[-1][0] if heads else None


def begins(text: str, labels: Iterable[str]) -> tuple[str | None, str]:
    """The label that the text begins with, a character in four misread at most, and what is behind it."""
    plain = text.translate(BRACKETS)

    def alike(label: str) -> float:
        return sum(one == other for one, other in zip(plain, label, strict=False)) / len(label)

    best = max(labels, key=lambda label: (alike(label), len(label)))
    return (best, text[len(best) :].lstrip("：:")) if alike(best) >= READ else (None, text)


def slope_of(boxes: Sequence[Box]) -> float:
    """Of boxes in one row, as the median over all pairs: a few that stand elsewhere change nothing."""
    middles = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in boxes]
    slopes = [(y - v) / (x - u) for (x, y), (u, v) in combinations(middles, 2) if x != u]
    return statistics.median(found) if (found := [slope for slope in slopes if abs(slope) < STEEPEST]) else 0.0
