"""The losses of CycleGAN (Zhu et al., arXiv:1703.10593). A and B are batches (N, C, S, S) of the two domains."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

Network = Callable[[Tensor], Tensor]
REAL, FAKE = 1.0, 0.0


def least_squares(scores: Tensor, target: float) -> Tensor:
    """LSGAN (Mao et al., arXiv:1611.04076), over the scores of all patches: a scalar."""
    return (scores.float() - target).square().mean()


def noisy(network: Network, deviation: float) -> Network:
    """The network behind a little noise."""
    return lambda x: network(x + deviation * torch.randn_like(x))


def generator_losses(
    to_a: Network, to_b: Network, discriminators: Sequence[Network], a: Tensor, b: Tensor
) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
    """Each loss of the generators, and what they made: A out of `b`, and B out of `a`.

    generator: whether the discriminators believe; cycle: there and back again; identity: what is already in a domain
    should stay what it is.
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
    """How badly it tells them apart, halved as in the paper."""
    return (least_squares(discriminator(real), REAL) + least_squares(discriminator(fake), FAKE)) / 2
