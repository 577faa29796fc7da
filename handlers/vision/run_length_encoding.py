"""Masks as COCO's compressed run lengths, computed directly from the network's cells.

No image of the mask is made, so that the mask of an image of 40 megapixels needs no more memory than its outline.
pycocotools would make such an image, and a stock TorchServe does not have it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.parts.masks import SURE

MAX_MASK_BYTES = 4_000_000  # of all masks of a response, which has other parts
BITS, MORE, FIRST = 5, 32, 48  # bits of a number in each character, the bit for "continued", the character for 0
MAX_CHARACTERS = 7  # of a number of 32 bits


def encode_masks(
    shapes: NDArray[np.float32], boxes: NDArray[np.float32], size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return `size` and `counts` of each mask, as COCO has them.

    shapes: (M, K, K), boxes: (M, 4) in pixels of an image of this size, (height, width). If they are over
    MAX_MASK_BYTES together, all are made at half the size, a quarter, and so on.
    """
    factor = 1.0
    while True:
        height, width = (max(1, round(side * factor)) for side in size)
        scale = np.array([width / size[1], height / size[0]] * 2)
        masks: list[str] = []
        for shape, box in zip(shapes, boxes, strict=True):
            masks.append(compress_run_lengths(run_lengths(shape, box * scale, (height, width))))
            if sum(map(len, masks)) > MAX_MASK_BYTES:
                break
        else:
            return [{"size": [height, width], "counts": mask} for mask in masks]
        factor /= 2


def run_lengths(shape: NDArray[np.float32], box: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the numbers of pixels outside the object, inside, outside, ..., column by column, of the mask that
    models/parts/masks.py pastes.

    shape: (K, K). Down a column of pixels the value is linear between the middles of cells, so the rows where it
    crosses SURE follow from the values there: K for each column, however many rows there are.
    """
    left, top, right, bottom = box
    height, width = size
    cells = len(shape)
    columns = np.arange(*np.clip(np.ceil(np.array([left, right]) - 0.5), 0, width).astype(np.int64))  # (W,)
    cell_positions = ((columns + 0.5 - left) / max(right - left, 1e-6) * cells - 0.5).clip(0, cells - 1)
    before = np.minimum(cell_positions.astype(np.int64), cells - 2)
    share = cell_positions - before
    values = (shape[:, before] * (1 - share) + shape[:, before + 1] * share).T - SURE  # (W, K)
    inside = values >= 0
    step = np.diff(values)
    crossings = np.arange(cells - 1) + 0.5 - values[:, :-1] / np.where(step == 0, 1, step)  # (W, K - 1), in cells
    middles = top + crossings / cells * (bottom - top)
    ends = np.full((len(columns), 1), 1.0)
    rows = np.ceil(np.concatenate([top * ends, middles, bottom * ends], axis=1) - 0.5).clip(0, height)  # (W, K + 1)
    turns = np.concatenate([inside[:, :1], inside[:, 1:] != inside[:, :-1], inside[:, -1:]], axis=1)
    pixels = (columns[:, None] * height + rows.astype(np.int64))[turns]
    pixels, times = np.unique(pixels, return_counts=True)
    pixels = pixels[(times % 2 == 1) & (pixels < height * width)]  # two turns at one pixel are none
    return np.diff(pixels, prepend=0, append=height * width)


def compress_run_lengths(lengths: NDArray[np.int64]) -> str:
    """Return run lengths as COCO's string.

    From the third number on, each is written as its difference from the last but one: in groups of five bits, the
    lowest first, as many as are needed to determine the sign.
    """
    numbers = lengths.copy()
    numbers[3:] -= lengths[1:-2]
    groups = numbers[:, None] >> (BITS * np.arange(MAX_CHARACTERS))  # (numbers, MAX_CHARACTERS)
    low = groups & (MORE - 1)
    last = (groups >> BITS) == np.where(low & (MORE >> 1), -1, 0)  # only the sign is left
    kept = np.arange(MAX_CHARACTERS) <= last.argmax(axis=1)[:, None]
    return (FIRST + low + MORE * ~last).astype(np.uint8)[kept].tobytes().decode("ascii")
