"""Masks of objects: from the cells of a box to the pixels of an image."""

import torch
from torch import Tensor

SURE = 0.5  # value from which a pixel belongs to the object


def pasted(shapes: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale shapes, (M, K, K) in 0..1, to their boxes, (M, 4): (M, *size) of bool, `size` being (height, width).

    A pixel belongs to the object if its centre is in the box and the value there, linearly interpolated between the
    centres of the cells, is at least SURE.
    """
    cells = shapes.shape[-1]
    down, rows = _along(boxes[:, 1::2], cells, size[0])  # (M, height, K), (M, height)
    across, columns = _along(boxes[:, 0::2], cells, size[1])  # (M, width, K), (M, width)
    values = down @ shapes @ across.mT  # (M, height, width)
    return (values >= SURE) & rows.unsqueeze(2) & columns.unsqueeze(1)


def _along(edges: Tensor, cells: int, pixels: int) -> tuple[Tensor, Tensor]:
    """Interpolate along one axis, of which edges, (M, 2), are the first and last coordinate of each box.

    Returns the weight of each cell in the value of each pixel, (M, pixels, cells), and a mask, (M, pixels), of pixels
    whose centres are in the box.
    """
    middles = torch.arange(pixels, device=edges.device) + 0.5
    first, last = edges.unsqueeze(2).unbind(dim=1)  # (M, 1) each
    places = (middles - first) / (last - first).clamp(min=1e-6) * cells - 0.5  # of pixels, in cells: (M, pixels)
    away = places.clamp(0, cells - 1).unsqueeze(2) - torch.arange(cells, device=edges.device)  # (M, pixels, cells)
    return (1 - away.abs()).clamp(min=0), (middles >= first) & (middles < last)
