"""Features in which a person's own pictures differ no more in one direction than in another."""

import torch
from torch import Tensor

SHRINKAGE = 0.3  # of the covariance, towards equal variance in all directions: few pictures tell it badly


def whitening(features: Tensor, people: Tensor) -> tuple[Tensor, Tensor]:
    """features: (N, D), people: (N,) -> weight (D, D) and bias (D,) of the linear layer after which the mean is zero
    and the covariance within people the identity: within-class covariance normalisation (Hatch et al. 2006), shrunk.
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
