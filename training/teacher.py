"""A linear model that doubts labels: what it thinks of a text tells a network how far to believe them.

Hinton et al., arXiv:1503.02531: targets that are a teacher's probabilities. Those of a text come from a model that has
not seen it, or they would repeat its label (stacking; Wolpert 1992).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from torch import Tensor
from torch.nn.functional import one_hot

FOLDS = 5
LONGEST = 3  # characters that are read as one

Document = tuple[Sequence[str], str]  # a text's words, and the text


def targets(documents: Sequence[Document], labels: Tensor, classes: int, share: float) -> Tensor:
    """(N, classes), each row adding up to 1: the labels, but for a `share` that is what the teacher thinks.

    Where a class has fewer texts than there are folds the labels stand alone.
    """
    given = one_hot(labels, classes).float()  # (N, classes)
    if given.sum(dim=0).min() < FOLDS:
        return given
    teacher = make_pipeline(
        TfidfVectorizer(analyzer=features, min_df=2, sublinear_tf=True), LogisticRegression(C=4.0, max_iter=1000)
    )
    found = cross_val_predict(teacher, list(documents), labels.numpy(), cv=FOLDS, method="predict_proba")
    return given.lerp(torch.tensor(found, dtype=torch.float32), share)


def features(document: Document) -> Iterator[str]:
    """Words, pairs of neighbours, and all runs of one to three characters."""
    words, text = document
    yield from words
    yield from map(" ".join, pairwise(words))
    for length in range(1, LONGEST + 1):
        yield from (text[start : start + length] for start in range(len(text) - length + 1))
