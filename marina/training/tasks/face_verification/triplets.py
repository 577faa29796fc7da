"""Training with triplets: batches with several images of each person, the loss over semi-hard triplets, and the layer
from which training starts.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

IMAGES_PER_PERSON = 4  # of each person in a batch


class PersonBatchSampler(Sampler[list[int]]):
    """Batches of about `size` examples: random people, IMAGES_PER_PERSON random images of each, or all where there are
    fewer.

    They depend on the seed, the epoch and the rank alone. People with a single image are left out.
    """

    def __init__(self, people: Sequence[int], size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        places: dict[int, list[int]] = {}
        for place, person in enumerate(people):
            places.setdefault(person, []).append(place)
        self.places = [of_one for of_one in places.values() if len(of_one) > 1]
        if len(self.places) < 2:
            raise ValueError("triplets take at least two people with two pictures each")
        self.size = size
        self.count = max(1, len(people) // (size * world))
        self.seed, self.rank, self.epoch = seed, rank, 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this before each one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed((self.seed * 10_000 + self.epoch) * 1_000 + self.rank)
        for _ in range(self.count):
            people = torch.randperm(len(self.places), generator=generator)[: max(2, self.size // IMAGES_PER_PERSON)]
            yield [place for person in people.tolist() for place in self._some(self.places[person], generator)]

    def _some(self, places: Sequence[int], generator: torch.Generator) -> list[int]:
        return [places[i] for i in torch.randperm(len(places), generator=generator)[:IMAGES_PER_PERSON].tolist()]


def semi_hard_triplet_loss(embeddings: Tensor, people: Tensor, margin: float) -> Tensor:
    """Return the mean of max(0, d(a, p) - d(a, n) + margin) over all pairs (a, p) of one person in the batch, d the
    squared distance; embeddings (N, D) of length 1, people (N,).

    n is the nearest of the images that are farther from a than p is, or, where there is none, the farthest of all:
    nearer ones make every embedding collapse into one (arXiv:1503.03832).
    """
    distances = 2 - 2 * embeddings @ embeddings.T  # (N, N)
    same = people[:, None] == people[None]
    farther = ~same[:, None] & (distances[:, None] > distances[:, :, None])  # (a, p, n)
    nearest = distances[:, None].masked_fill(~farther, torch.inf).amin(dim=2)  # (a, p)
    farthest = distances.masked_fill(same, -torch.inf).amax(dim=1, keepdim=True)  # (a, 1)
    negatives = torch.where(farther.any(dim=2), nearest, farthest)
    positive = same & ~torch.eye(len(people), dtype=torch.bool, device=people.device)
    return (distances - negatives + margin)[positive].relu().mean()


SHRINKAGE = 0.3  # of the covariance, towards equal variance in all directions: few pictures tell it badly


def whitening(features: Tensor, people: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight (D, D) and bias (D,) of the linear layer after which the features (N, D) of people (N,) have mean
    zero and the identity as covariance within people: within-class covariance normalization (Hatch et al. 2006),
    shrunk. No direction varies more than another among the images of one person.
    """
    features = features.double()
    mean = features.mean(dim=0)
    own = torch.stack([features[people == person].mean(dim=0) for person in people])  # (N, D): each one's own mean
    apart = features - own
    covariance = apart.T @ apart / len(features)
    even = torch.eye(len(covariance), dtype=covariance.dtype) * covariance.diagonal().mean()
    variances, directions = torch.linalg.eigh((1 - SHRINKAGE) * covariance + SHRINKAGE * even)
    weight = directions @ torch.diag(variances.rsqrt()) @ directions.T
    return weight.float(), -(weight @ mean).float()
