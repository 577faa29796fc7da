"""Losses and image pool of CycleGAN (Zhu et al., arXiv:1703.10593). A and B are batches (N, C, S, S) of the two
domains.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

Network = Callable[[Tensor], Tensor]
REAL, FAKE = 1.0, 0.0


def least_squares(scores: Tensor, target: float) -> Tensor:
    """Return the loss of LSGAN (Mao et al., arXiv:1611.04076), over the scores of all patches: a scalar."""
    return (scores.float() - target).square().mean()


def with_noise(network: Network, deviation: float) -> Network:
    """Return the network with a little Gaussian noise added to its input."""
    return lambda x: network(x + deviation * torch.randn_like(x))


def generator_losses(
    to_a: Network, to_b: Network, discriminators: Sequence[Network], a: Tensor, b: Tensor
) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
    """Return each loss of the generators, and the generated images: A from `b`, and B from `a`.

    generator: of deceiving the discriminators; cycle: of translating there and back again; identity: of changing images
    that are in the target domain already.
    """
    fake_b, same_b = to_b(torch.cat([a, b])).chunk(2)  # one pass for both is quicker
    fake_a, same_a = to_a(torch.cat([b, a])).chunk(2)
    believed_a, believed_b = (
        least_squares(discriminator(fake), REAL)
        for discriminator, fake in zip(discriminators, (fake_a, fake_b), strict=True)
    )
    losses = {
        "generator": believed_a + believed_b,
        "cycle": l1_loss(to_a(fake_b), a) + l1_loss(to_b(fake_a), b),
        "identity": l1_loss(same_a, a) + l1_loss(same_b, b),
    }
    return losses, (fake_a, fake_b)


def discriminator_loss(discriminator: Network, real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of distinguishing real from generated images, halved as in the paper."""
    return (least_squares(discriminator(real), REAL) + least_squares(discriminator(fake), FAKE)) / 2


class ImagePool(nn.Module):
    """The latest generated images, `size` at most: a discriminator that sees older ones, too, does not oscillate with
    its generator (Shrivastava et al., arXiv:1612.07828). Its state is part of a checkpoint.
    """

    images: Tensor
    held: Tensor

    def __init__(self, size: int, *shape: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("held", torch.tensor(0))

    @torch.no_grad()
    def exchange(self, made: Tensor) -> Tensor:
        """Return as many images, (N, C, S, S), as were generated: the same ones as long as the pool is not full; after
        that each, with a probability of one half, is exchanged for an older one.
        """
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
