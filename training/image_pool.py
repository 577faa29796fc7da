"""What generators made a while ago."""

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """The last images that it was given, `size` at most: a discriminator that sees older ones, too, does not run after
    each turn of its generator (Shrivastava et al., arXiv:1612.07828). Its state is part of a checkpoint.
    """

    images: Tensor
    held: Tensor

    def __init__(self, size: int, *shape: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("held", torch.tensor(0))

    @torch.no_grad()
    def exchange(self, made: Tensor) -> Tensor:
        """(N, C, S, S) -> as many: those made, as long as the pool is not full; then each, with a chance of one half,
        stays there for an older one that is given out."""
        given = made.detach().clone()
        for place, image in enumerate(made):
            if self.held < len(self.images):
                self.images[self.held] = image
                self.held += 1
            elif torch.rand(()) < 0.5:
                oldest = int(torch.randint(len(self.images), ()))
                given[place] = self.images[oldest]
                self.images[oldest] = image
        return given
