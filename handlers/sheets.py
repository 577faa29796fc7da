"""Several pictures as one."""

from torch import Tensor
from torchvision.utils import make_grid

COLUMNS = 4


def sheet(pictures: Tensor) -> Tensor:
    """(T, C, H, W) -> (C or 3, rows * H, 4 * W), in reading order; a grey picture has three equal channels then."""
    return make_grid(pictures, nrow=COLUMNS, padding=0)
