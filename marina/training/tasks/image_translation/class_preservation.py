"""Metric of image translation: how often a translated image keeps its class, by a classifier of the other domain's real
images.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from marina.training.data.dataset import Dataset, Split
from marina.training.data.formats.image_to_image import DomainImage
from marina.training.tasks.image_classification.reference_classifier import ReferenceClassifier

CLASSIFIER = "mobilenet_v1"  # sees colours; a minute for 3,600 images


@dataclass(frozen=True)
class TranslationTruth:
    """The origin of an image that was sent, and its data set."""

    origin: DomainImage
    data: Dataset


def class_preservation_rates(
    truths: Sequence[TranslationTruth], responses: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Return kept_a_to_b and kept_b_to_a: the share of images whose class is still recognized.

    The class is part of the files' names. Empty where the domains have fewer than two classes in common.
    """
    data = truths[0].data
    classes = common(data)
    if len(classes) < 2:
        return {}
    shares = {}
    for domain, name in enumerate(data.labels):
        sent = [
            (truth.origin, base64.b64decode(response["image"]))
            for truth, response in zip(truths, responses, strict=True)
            if truth.origin.domain != domain and truth.origin.name in classes
        ]
        predicted = (
            ReferenceClassifier(images_of_domain(data, domain, classes), CLASSIFIER)
            .probabilities([image for _, image in sent])
            .argmax(dim=1)
        )
        right = torch.tensor([classes.index(origin.name) for origin, _ in sent])
        source = data.labels[sent[0][0].domain]
        shares[f"kept_{source}_to_{name}".lower()] = float((predicted == right).float().mean())
    return shares


def common(data: Dataset) -> list[str]:
    """Return the classes that both domains have, in training and in test images."""
    found = [
        {origin.name for origin in split.targets if origin.domain == domain}
        for split in (data.train, data.test)
        for domain in range(len(data.labels))
    ]
    return sorted(set.intersection(*found) - {""})


def images_of_domain(data: Dataset, domain: int, classes: Sequence[str]) -> Dataset:
    """Return the images of one domain, with their classes for a classifier."""

    def classified(split: Split) -> Split:
        places = [i for i, origin in enumerate(split.targets) if origin.domain == domain and origin.name in classes]
        picked = split.select(places)
        return Split(picked.inputs, [classes.index(origin.name) for origin in picked.targets])

    train, validation, test = map(classified, (data.train, data.validation, data.test))
    return Dataset(train, validation, test, labels=tuple(classes))
