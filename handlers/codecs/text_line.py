"""Lines of text: from the bytes of an image file to columns of ink, and from a network's frames to characters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from handlers.codecs.image import open_image

BLANK = 0  # CTC's: a frame that says nothing new
STRIDE = 4  # columns of pixels that one frame of the network stands for
NARROWEST = 4 * STRIDE
QUIET = 2 * STRIDE  # columns of paper at either end, so that the first and the last character have frames enough


@dataclass(frozen=True)
class Character:
    """`confidence` is the highest probability among its frames, which are `first` to `last`, both included."""

    character: str
    confidence: float
    first: int
    last: int


@dataclass(frozen=True)
class Reading:
    """`confidence` is the probability of the best path, the product over all frames: at most the text's own, which
    is the sum over every path that spells it.
    """

    characters: Sequence[Character]
    confidence: float

    @property
    def text(self) -> str:
        return "".join(one.character for one in self.characters)


@dataclass(frozen=True)
class TextLineCodec:
    """Character number i is `alphabet[i - 1]`, for 0 is the blank. Lines are scaled to `height` pixels, their width in
    proportion; one that would be wider than `max_width` is squeezed into it. What most pixels are is taken for paper:
    light text on a dark ground is turned round.
    """

    alphabet: str
    height: int
    max_width: int

    @classmethod
    def fit(cls, texts: Iterable[str], height: int, max_width: int) -> "TextLineCodec":
        """The codec that knows every character of `texts`."""
        return cls("".join(sorted(set("".join(texts)))), height, max_width)

    @cached_property
    def _number_of(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.alphabet, start=BLANK + 1)}

    def numbers(self, text: str) -> Tensor:
        """(L,) of int64; characters that the alphabet lacks are left out."""
        return torch.tensor([self._number_of[one] for one in text if one in self._number_of], dtype=torch.int64)

    def ink(self, data: bytes) -> Tensor:
        """The bytes of an image file -> what `ink_of` makes of the image."""
        return self.ink_of(open_image(data).convert("L"))

    def ink_of(self, image: Image.Image) -> Tensor:
        """A grey image -> (W, height) of uint8, W a multiple of STRIDE, QUIET columns at either end: from 1, paper, to
        255, ink, so that 0 is left for padding.
        """
        width = STRIDE * round(image.width * self.height / image.height / STRIDE)
        image = image.resize((min(max(width, NARROWEST), self.max_width), self.height), Image.Resampling.BILINEAR)
        pixels = np.asarray(ImageOps.autocontrast(image, cutoff=1))  # (height, W)
        if np.median(pixels) >= 128:
            pixels = 255 - pixels
        ink = np.pad(pixels, ((0, 0), (QUIET, QUIET)), constant_values=int(np.median(pixels)))
        return torch.from_numpy(ink.clip(1).T.copy())

    def normalize(self, ink: Tensor) -> Tensor:
        """Padded lines (N, W, height) of uint8 -> (N, 1, height, W) of float32 in 0..1."""
        return ink.transpose(1, 2).unsqueeze(1) / 255

    def read(self, logits: Tensor) -> Reading:
        """The best path, (T, classes): the best class of each frame, repeats made one, blanks left out."""
        probabilities, classes = (best.tolist() for best in logits.softmax(dim=1).max(dim=1))
        characters = []
        for number, run in groupby(range(len(classes)), classes.__getitem__):
            if number != BLANK:
                frames = list(run)
                confidence = max(probabilities[frame] for frame in frames)
                characters.append(Character(self.alphabet[number - 1], confidence, frames[0], frames[-1]))
        return Reading(characters, float(np.prod(probabilities)))
