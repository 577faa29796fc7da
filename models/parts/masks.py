"""A mask that is known on a few cells of its box, laid out on pixels."""

import torch
from torch import Tensor

SURE = 0.5  # what a pixel's value must reach to be the object's


def pasted(shapes: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """shapes: (M, K, K) in 0..1, boxes: (M, 4) -> (M, *size) of bool, `size` being (height, width).

    A pixel is the object's if its middle lies in the box and the value there, linear between the middles of the cells,
    is SURE.
    """
    cells = shapes.shape[-1]
    down, rows = _along(boxes[:, 1::2], cells, size[0])  # (M, height, K), (M, height)
    across, columns = _along(boxes[:, 0::2], cells, size[1])  # (M, width, K), (M, width)
    values = down @ shapes @ across.mT  # (M, height, width)
    return (values >= SURE) & rows.unsqueeze(2) & columns.unsqueeze(1)


def _along(edges: Tensor, cells: int, pixels: int) -> tuple[Tensor, Tensor]:
    """edges: (M, 2), the first and last of the boxes along one axis -> (M, pixels, cells), the share of each cell in
    the value of each pixel, and (M, pixels), whether the pixel's middle is in the box.
    """
    middles = torch.arange(pixels, device=edges.device) + 0.5
    first, last = edges.unsqueeze(2).unbind(dim=1)  # (M, 1) each
    places = (middles - first) / (last - first).clamp(min=1e-6) * cells - 0.5  # of pixels, in cells: (M, pixels)
    away = places.clamp(0, cells - 1).unsqueeze(2) - torch.arange(cells, device=edges.device)  # (M, pixels, cells)
    return (1 - away.abs()).clamp(min=0), (middles >= first) & (middles < last)
