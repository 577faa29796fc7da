"""What a translation keeps: the class of an image, as a classifier of the other domain's real images sees it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.data.dataset import Dataset, Split
from training.data.layouts.unpaired import Origin
from training.judge import Judge

JUDGE = "mobilenet_v1"  # sees colours; a minute for 3,600 images


@dataclass(frozen=True)
class Truth:
    """Where an image that was sent is from, in which data set."""

    origin: Origin
    data: Dataset


def kept(truths: Sequence[Truth], replies: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """kept_a_to_b, kept_b_to_a: the share of images whose class is still seen. The class is what the files' names say;
    empty where the domains have fewer than two classes in common: there is nothing to keep then.
    """
    data = truths[0].data
    classes = common(data)
    if len(classes) < 2:
        return {}
    shares = {}
    for domain, name in enumerate(data.labels):
        sent = [
            (truth.origin, base64.b64decode(reply["image"]))
            for truth, reply in zip(truths, replies, strict=True)
            if truth.origin.domain != domain and truth.origin.name in classes
        ]
        seen = Judge(of_domain(data, domain, classes), JUDGE).probabilities([image for _, image in sent]).argmax(dim=1)
        right = torch.tensor([classes.index(origin.name) for origin, _ in sent])
        source = data.labels[sent[0][0].domain]
        shares[f"kept_{source}_to_{name}".lower()] = float((seen == right).float().mean())
    return shares


def common(data: Dataset) -> list[str]:
    """The classes that both domains have, in training and in test images."""
    found = [
        {origin.name for origin in split.targets if origin.domain == domain}
        for split in (data.train, data.test)
        for domain in range(len(data.labels))
    ]
    return sorted(set.intersection(*found) - {""})


def of_domain(data: Dataset, domain: int, classes: Sequence[str]) -> Dataset:
    """The images of one domain, with their classes for a classifier."""

    def classified(split: Split) -> Split:
        places = [i for i, origin in enumerate(split.targets) if origin.domain == domain and origin.name in classes]
        picked = split.pick(places)
        return Split(picked.inputs, [classes.index(origin.name) for origin in picked.targets])

    train, validation, test = map(classified, (data.train, data.validation, data.test))
    return Dataset(train, validation, test, labels=tuple(classes))
