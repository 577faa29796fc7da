"""Augmentation that makes many people out of few: changes that make another person, the same for all images of that
person, and changes of each image that preserve the person.
"""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

# Of a person, drawn again for each batch
BLENDED = 0.5  # share of people who are blended with another person,
BLEND = (0.3, 0.7)  # the share of that other person
STRETCH = 0.12  # of width and height, each as the exponent of e
BEND = 0.06  # standard deviation of the shifts, of half the picture's side,
KNOTS = 5  # on a grid of so many points a side
# Of an image
TURN = 0.17  # radians
SHIFT = 0.1  # of half the picture's side
SCALE = 0.08
GAMMA = 0.4  # as the exponent of e


def uniform(low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(shape) * (high - low) + low


def synthetic_people(pixels: Tensor, people: Tensor) -> Tensor:
    """Return images of people who do not exist: (N, C, S, S) of uint8, people (N,) -> the same shape.

    Each person is blended with another one, mirrored, stretched and bent; each image of that person is rotated,
    shifted, scaled, and made lighter or darker.
    """
    _, place = torch.unique(people, return_inverse=True)  # (N,), from 0 to P - 1
    count = int(place.max()) + 1
    place = place.cpu()
    faces = blended(pixels.float() / 255, place, count)
    grid = affine_grid(affine(place, count).to(faces), list(faces.shape), align_corners=False)  # (N, S, S, 2)
    grid = grid + bends(count, pixels.shape[-1])[place].to(faces)
    faces = grid_sample(faces, grid, padding_mode="border", align_corners=False).clamp(0, 1)
    light = uniform(-GAMMA, GAMMA, len(place), 1, 1, 1).exp()
    return (faces ** light.to(faces) * 255).round().to(torch.uint8)


def bends(count: int, size: int) -> Tensor:
    """Return smooth shifts of pixels, right and down: (P, S, S, 2)."""
    shifts = torch.randn(count, 2, KNOTS, KNOTS) * BEND
    return interpolate(shifts, (size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def blended(faces: Tensor, place: Tensor, count: int) -> Tensor:
    """Blend some people with one other person each: any image of the one with any image of the other."""
    share = uniform(*BLEND, count) * (torch.rand(count) < BLENDED)
    partner = (torch.arange(count) + torch.randint(1, max(2, count), (count,))) % count
    others = [torch.nonzero(place == partner[person]).flatten() for person in place]
    chosen = torch.stack([those[torch.randint(len(those), ())] for those in others])
    weight = share[place].view(-1, 1, 1, 1).to(faces)
    return faces * (1 - weight) + faces[chosen] * weight


def affine(place: Tensor, count: int) -> Tensor:
    """Return the person's stretch and mirror image times the image's rotation, scale and shift: (N, 2, 3)."""
    number = len(place)
    stretch = uniform(-STRETCH, STRETCH, count, 2).exp()
    stretch[:, 0] *= torch.where(torch.rand(count) < 0.5, -1, 1)  # no face is symmetric
    angle, scale = uniform(-TURN, TURN, number), uniform(1 - SCALE, 1 + SCALE, number)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)
    matrix = turn * (stretch[place] * scale[:, None]).unsqueeze(2)
    return torch.cat([matrix, uniform(-SHIFT, SHIFT, number, 2, 1)], dim=2)
