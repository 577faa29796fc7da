"""Triplets: which batches come, which negatives are mined, and what is measured."""

import numpy as np
import pytest
import torch

from marina.training.tasks.face_verification.face_augmentation import affine, synthetic_people
from marina.training.tasks.face_verification.triplets import PersonBatchSampler, semi_hard_triplet_loss
from marina.training.tasks.face_verification.verification_metrics import (
    against_gallery,
    equal_error_rate,
    nearest_neighbour,
    pairs,
)


def test_batches_hold_several_pictures_of_several_people():
    people = [number // 10 for number in range(100)] + [99]  # the last has a single picture
    batches = PersonBatchSampler(people, 32, seed=0)
    first = list(batches)
    assert len(first) == len(batches) == 3
    for batch in first:
        counts = {person: [people[place] for place in batch].count(person) for person in {people[p] for p in batch}}
        assert list(counts.values()) == [4] * 8
        assert len(set(batch)) == 32
    assert list(batches) == first  # the same epoch
    batches.set_epoch(1)
    assert list(batches) != first
    assert list(PersonBatchSampler(people, 32, seed=0, rank=1, world=2)) != first
    with pytest.raises(ValueError, match="two people"):
        PersonBatchSampler([0, 0, 1], 32, seed=0)


def test_the_loss_is_what_a_loop_over_the_definition_says():
    torch.manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(12, 5), dim=1)
    people = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4])
    distances = torch.cdist(x, x).square()
    losses = []
    for a in range(12):
        others = [float(distances[a, n]) for n in range(12) if people[n] != people[a]]
        for p in range(12):
            if p != a and people[p] == people[a]:
                d = float(distances[a, p])
                negative = min((n for n in others if n > d), default=max(others))
                losses.append(max(0.0, d - negative + 0.2))
    assert float(semi_hard_triplet_loss(x, people, 0.2)) == pytest.approx(sum(losses) / len(losses), abs=1e-5)


def test_the_loss_has_gradients_and_is_zero_for_people_far_apart():
    corners = torch.eye(4).repeat_interleave(2, dim=0).requires_grad_()
    people = torch.arange(4).repeat_interleave(2)
    loss = semi_hard_triplet_loss(corners, people, 0.2)
    loss.backward()
    assert float(loss.detach()) == 0
    assert bool(corners.grad.isfinite().all())


def test_equal_error_rate_and_nearest_neighbour_by_hand():
    people = ["a", "a", "b", "b", "c"]
    similarities = np.array(
        [
            [1.0, 0.9, 0.1, 0.2, 0.2],
            [0.9, 1.0, 0.1, 0.1, 0.1],
            [0.1, 0.1, 1.0, 0.3, 0.4],
            [0.2, 0.1, 0.3, 1.0, 0.0],
            [0.2, 0.1, 0.4, 0.0, 1.0],
        ]
    )
    values, same = pairs(similarities, people)
    assert (len(values), int(same.sum())) == (10, 2)
    assert nearest_neighbour(similarities, people) == 0.75  # the first b's nearest is c; c itself can't be found
    rate, threshold = equal_error_rate(values, same)
    assert threshold == 0.3  # accepts both of one person, and 1 of the 8 others
    assert rate == pytest.approx((1 / 8 + 0) / 2)
    best, of_that_person = against_gallery(similarities, people)
    assert len(best) == 5 * 3 - 1  # c has no other picture to enrol
    assert sorted(best[of_that_person]) == [0.3, 0.3, 0.9, 0.9]
    assert max(best[~of_that_person]) == 0.4


def test_made_up_people_are_the_same_ones_in_all_their_pictures():
    torch.manual_seed(0)
    faces = torch.zeros(8, 1, 32, 32, dtype=torch.uint8)
    faces[:, :, 8:24, 8:24] = torch.arange(4, dtype=torch.uint8).repeat_interleave(2).view(-1, 1, 1, 1) * 50 + 50
    people = torch.tensor([7, 7, 3, 3, 5, 5, 9, 9])  # as they come, in any order
    changed = synthetic_people(faces, people)
    assert (changed.shape, changed.dtype) == (faces.shape, torch.uint8)
    assert (changed != faces).flatten(1).any(dim=1).all()
    assert not torch.equal(changed[0], changed[1])  # each picture has a turn and a light of its own
    place = torch.tensor([0, 0, 1, 1])
    matrices = affine(place, 2)
    mirrored = torch.linalg.det(matrices[:, :, :2]) < 0
    assert mirrored[0] == mirrored[1]
    assert mirrored[2] == mirrored[3]
