"""Masks as COCO's run lengths: byte for byte those of pycocotools, in little memory, and never too long."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from pycocotools import mask as masks

from handlers.response import MAX_BYTES
from handlers.vision import run_length_encoding
from models.parts.masks import pasted

SIDE = 28


def noise(count, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, SIDE, SIDE), dtype=np.float32)


@pytest.mark.parametrize("seed", range(60))
def test_run_lengths_are_what_pycocotools_writes_of_the_pasted_mask(seed):
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 90, size=2).tolist()
    shape = noise(1, seed)
    if seed % 2:  # a blob, such as networks make
        blob = torch.from_numpy(shape[:, None, :4, :4])
        shape = torch.nn.functional.interpolate(blob, (SIDE, SIDE), mode="bilinear")[:, 0].numpy()
    across, down = (np.sort(random.uniform(0, side, size=2)) for side in (width, height))
    whole = seed % 5 == 0
    box = np.array([0.0, 0, width, height] if whole else [across[0], down[0], across[1], down[1]])
    mask = pasted(torch.from_numpy(shape).double(), torch.from_numpy(box)[None], (height, width))[0].numpy()
    counts = run_length_encoding.compress_run_lengths(run_length_encoding.run_lengths(shape[0], box, (height, width)))
    assert counts == masks.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


def test_long_runs_and_negative_differences_are_written_as_pycocotools_writes_them():
    for counts in ([0, 1], [7], [40_000_000], [1, 2, 39_000_000, 1, 3, 70_000, 5, 900], [0, 5, 1, 16, 17, 33, 1, 2]):
        rle = masks.frPyObjects({"counts": counts, "size": [1, sum(counts)]}, 1, sum(counts))
        assert run_length_encoding.compress_run_lengths(np.array(counts)) == rle["counts"].decode()


def test_a_hundred_masks_of_noise_on_a_huge_image_fit_into_a_reply():
    held = run_length_encoding.encode_masks(noise(100), np.array([[0.0, 0, 8000, 5000]] * 100), (5000, 8000))
    sizes = {tuple(one["size"]) for one in held}
    assert len(held) == 100
    assert sizes < {(2500, 4000), (1250, 2000), (625, 1000)}
    assert len(json.dumps(held)) < 0.8 * MAX_BYTES
    assert 0.3 < masks.area(held[0]) / np.prod(held[0]["size"]) < 0.7


def test_no_image_of_a_mask_is_made():
    tracemalloc.start()
    (one,) = run_length_encoding.encode_masks(noise(1), np.array([[0.0, 0, 8000, 5000]]), (5000, 8000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert one["size"] == [5000, 8000]
    assert peak < 8000 * 5000  # a byte a pixel of the mask
