"""What was read, beside what there was to read."""

import io
import unicodedata
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from PIL import Image

from training.data.rendering import NOTO

ROWS, COLUMNS = 10, 3
MOST = 20  # of the misreadings in a card


def is_chinese(text: str) -> bool:
    """Is there a Han character in it?"""
    return any(unicodedata.name(one, "").startswith("CJK UNIFIED") for one in text)


def misread(truths: Sequence[str], texts: Sequence[str]) -> list[dict[str, Any]]:
    """The commonest mistakes: what was written, what was read in its place (either may be nothing), how often."""
    counts: Counter[tuple[str, str]] = Counter()
    for truth, text in zip(truths, texts, strict=True):
        for kind, a, b, c, d in SequenceMatcher(None, truth, text, autojunk=False).get_opcodes():
            if kind != "equal":
                counts[truth[a:b], text[c:d]] += 1
    return [{"written": a, "read": b, "times": times} for (a, b), times in counts.most_common(MOST)]


def draw(files: Sequence[bytes], truths: Sequence[str], texts: Sequence[str], picture: Path) -> None:
    """A picture of the first lines, each under what was read; red where that is wrong."""
    figure = Figure((12, 8), layout="constrained")
    font = FontProperties(fname=NOTO, size=9)  # matplotlib's own has no Chinese
    for place, axes in enumerate(figure.subplots(ROWS, COLUMNS).flat):
        axes.set_axis_off()
        if place < len(texts):
            axes.imshow(Image.open(io.BytesIO(files[place])).convert("L"), cmap="gray", vmin=0, vmax=255)
            right = texts[place] == truths[place]
            axes.set_title(texts[place], font=font, color="black" if right else "red", parse_math=False)
    figure.savefig(picture)
