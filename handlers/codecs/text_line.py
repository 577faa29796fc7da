"""Codec for lines of text: from the bytes of an image file to columns of ink, and from frames to characters."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from handlers.codecs.image_file import open_image

BLANK = 0  # CTC's class of frames without a new character
STRIDE = 4  # columns of pixels per frame of the network
BLOCK_HEIGHT = 8  # pixels: of blocks whose brightest pixel is paper; their width is STRIDE
NEARBY = (3, 9)  # blocks, down and across, around a pixel
MIN_WIDTH = 4 * STRIDE
MARGIN_COLUMNS = 2 * STRIDE  # columns of paper at either end: enough frames for the first and the last character


@dataclass(frozen=True)
class Character:
    """A recognized character; `confidence` is the highest probability of its frames, `first` to `last` inclusive."""

    character: str
    confidence: float
    first: int
    last: int


@dataclass(frozen=True)
class Reading:
    """A recognized text. `confidence` is the probability of the best path, the product over all frames: a lower bound
    of the text's own probability, which is the sum over all paths that spell it.
    """

    characters: Sequence[Character]
    confidence: float

    @property
    def text(self) -> str:
        """All characters as one string."""
        return "".join(one.character for one in self.characters)


@dataclass(frozen=True)
class TextLineCodec:
    """Class i is `alphabet[i - 1]`, 0 being the blank.

    Lines are scaled to `height` pixels, their width in proportion; one that would be wider than `max_width` is
    compressed to it. The median pixel is taken for paper: light text on a dark background is inverted, and shadows are
    removed.
    """

    alphabet: str
    height: int
    max_width: int

    @classmethod
    def fit(cls, texts: Iterable[str], height: int, max_width: int) -> "TextLineCodec":
        """Return the codec whose alphabet is every character of `texts`."""
        return cls("".join(sorted(set("".join(texts)))), height, max_width)

    @cached_property
    def _number_of(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.alphabet, start=BLANK + 1)}

    def numbers(self, text: str) -> Tensor:
        """Return the classes of a text, (L,) of int64, without characters that the alphabet lacks."""
        return torch.tensor([self._number_of[one] for one in text if one in self._number_of], dtype=torch.int64)

    def ink(self, data: bytes) -> Tensor:
        """Decode an image file and return its `ink_of`. Raises BadRequest if it is not an image."""
        return self.ink_of(open_image(data, self.shrink).convert("L"))

    def shrink(self, width: int, height: int) -> float:
        """Return how many times smaller an image becomes, at least."""
        return min(width, height) / self.height

    def ink_of(self, image: Image.Image) -> Tensor:
        """Convert a grey image to (W, height) of uint8, from 1 (paper) to 255 (ink), 0 being padding.

        W is a multiple of STRIDE and includes MARGIN_COLUMNS at either end.
        """
        width = STRIDE * round(image.width * self.height / image.height / STRIDE)
        image = image.resize((min(max(width, MIN_WIDTH), self.max_width), self.height), Image.Resampling.BILINEAR)
        if np.median(np.asarray(ImageOps.autocontrast(image, cutoff=1))) < 128:
            image = ImageOps.invert(image)
        ink = 255 - np.asarray(ImageOps.autocontrast(even_paper(image), cutoff=1))  # (height, W)
        ink = np.pad(ink, ((0, 0), (MARGIN_COLUMNS, MARGIN_COLUMNS)), constant_values=int(np.median(ink)))
        return torch.from_numpy(ink.clip(1).T.copy())

    def normalize(self, ink: Tensor) -> Tensor:
        """Convert padded lines (N, W, height) of uint8 to (N, 1, height, W) of float32 in 0..1."""
        return ink.transpose(1, 2).unsqueeze(1) / 255

    def read(self, logits: Tensor) -> Reading:
        """Decode the best path of logits (T, classes): the best class of each frame, repeats merged, blanks dropped."""
        probabilities, classes = (best.tolist() for best in logits.softmax(dim=1).max(dim=1))
        characters = []
        for number, run in groupby(range(len(classes)), classes.__getitem__):
            if number != BLANK:
                frames = list(run)
                confidence = max(probabilities[frame] for frame in frames)
                characters.append(Character(self.alphabet[number - 1], confidence, frames[0], frames[-1]))
        return Reading(characters, float(np.prod(probabilities)))


def even_paper(image: Image.Image) -> Image.Image:
    """Divide a grey image of dark text by the brightness of the paper around each pixel: a shadow is no ink.

    The paper is the brightest of the blocks nearby, each smoothed by a mean, so that a bright dot of noise is none.
    """
    grey = torch.from_numpy(np.array(image, dtype=np.float32))[None, None]  # (1, 1, H, W)
    smooth = avg_pool2d(grey, 3, 1, padding=1, count_include_pad=False)
    blocks = max_pool2d(smooth, (BLOCK_HEIGHT, STRIDE), ceil_mode=True)
    nearby = max_pool2d(blocks, NEARBY, 1, padding=tuple(side // 2 for side in NEARBY))
    paper = avg_pool2d(nearby, NEARBY, 1, padding=tuple(side // 2 for side in NEARBY), count_include_pad=False)
    paper = interpolate(paper, size=grey.shape[2:], mode="bilinear", align_corners=False).clamp(min=1)
    return Image.fromarray((255 * grey / paper).clamp(0, 255)[0, 0].round().to(torch.uint8).numpy())


def path_score(
    network: Callable[[Tensor], Tensor], logits: Tensor, first: int, last: int
) -> Callable[[Tensor], Tensor]:
    """Return the score to attribute to pixels: the log-probability of a part of the best path.

    The path is that of `logits`, (T, classes), from frame `first` to `last` inclusive. The score is a function of
    lines, (N, 1, H, W) -> (N,).
    """
    frames = torch.arange(first, last + 1, device=logits.device)
    classes = logits.argmax(dim=1)[frames]

    def score(lines: Tensor) -> Tensor:
        log_probabilities: Tensor = network(lines).log_softmax(dim=2)
        return log_probabilities[:, frames, classes].sum(dim=1)

    return score
