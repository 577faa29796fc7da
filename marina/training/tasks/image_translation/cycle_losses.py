"""Losses and image pool of CycleGAN (Zhu et al., arXiv:1703.10593).

A and B are the two domains, horses and zebras for instance; their images are batches (N, C, S, S).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

Network = Callable[[Tensor], Tensor]
REAL, FAKE = 1.0, 0.0


def least_squares(scores: Tensor, target: float) -> Tensor:
    """Return the least-squares GAN loss (Mao et al., arXiv:1611.04076) of a discriminator's scores: a scalar.

    It is the mean over images and patches. `target` is REAL or FAKE.
    """
    return (scores.float() - target).square().mean()


def with_noise(network: Network, deviation: float) -> Network:
    """Return a function that adds Gaussian noise of this standard deviation to the input, and applies the network."""
    return lambda x: network(x + deviation * torch.randn_like(x))


def generator_losses(
    to_a: Network, to_b: Network, discriminators: Sequence[Network], a: Tensor, b: Tensor
) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
    """Return the losses of both generators by name, and the generated images: A from `b`, and B from `a`.

    `to_a` and `to_b` are the generators, `discriminators` those of A and of B. The losses are scalars:

    - generator: adversarial loss, low if the discriminators take generated images for real;
    - cycle: L1 distance of an image and its translation to the other domain and back;
    - identity: L1 distance of an image and its translation to its own domain.
    """
    fake_b, same_b = to_b(torch.cat([a, b])).chunk(2)  # one forward pass for both is faster
    fake_a, same_a = to_a(torch.cat([b, a])).chunk(2)
    adversarial_a, adversarial_b = (
        least_squares(discriminator(fake), REAL)
        for discriminator, fake in zip(discriminators, (fake_a, fake_b), strict=True)
    )
    losses = {
        "generator": adversarial_a + adversarial_b,
        "cycle": l1_loss(to_a(fake_b), a) + l1_loss(to_b(fake_a), b),
        "identity": l1_loss(same_a, a) + l1_loss(same_b, b),
    }
    return losses, (fake_a, fake_b)


def discriminator_loss(discriminator: Network, real: Tensor, fake: Tensor) -> Tensor:
    """Return the loss of distinguishing real from generated images, halved as in the paper."""
    return (least_squares(discriminator(real), REAL) + least_squares(discriminator(fake), FAKE)) / 2


class ImagePool(nn.Module):
    """Pool of up to `size` earlier generated images, each of `shape` (C, S, S).

    A discriminator that is also trained on images of earlier generators oscillates less (Shrivastava et al.,
    arXiv:1612.07828). The pool is part of a checkpoint: `held` is the number of images in it.
    """

    images: Tensor
    held: Tensor

    def __init__(self, size: int, *shape: int) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("held", torch.tensor(0))

    @torch.no_grad()
    def exchange(self, generated: Tensor) -> Tensor:
        """Return images to train the discriminator on, in the shape of the generated ones, (N, C, S, S), detached.

        Until the pool is full, it stores each image and returns the same. After that, each image is exchanged for a
        random one of the pool with probability 1/2.
        """
        exchanged = generated.detach().clone()
        for row, image in enumerate(generated):
            if self.held < len(self.images):
                self.images[self.held] = image
                self.held += 1
            elif torch.rand(()) < 0.5:
                index = int(torch.randint(len(self.images), ()))
                exchanged[row] = self.images[index]
                self.images[index] = image
        return exchanged
