"""Teacher model of a text classifier: a linear model whose probabilities soften labels that may be wrong.

Knowledge distillation (Hinton et al., arXiv:1503.02531): targets that are a teacher's probabilities. Those of a text
come from a model that was not trained on it, or they would repeat its label (stacking; Wolpert 1992).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline, make_union
from torch import Tensor
from torch.nn.functional import one_hot

FOLDS = 5
LONGEST = 3  # characters that are read as one

Document = tuple[Sequence[str], str]  # a text's words, and the text


def soft_targets(documents: Sequence[Document], labels: Tensor, classes: int, share: float) -> Tensor:
    """Return targets (N, classes), each row adding up to 1: the labels, but for a `share` that is the teacher's
    probability.

    Where a class has fewer texts than there are folds, the targets are the labels alone.
    """
    given = one_hot(labels, classes).float()  # (N, classes)
    if given.sum(dim=0).min() < FOLDS:
        return given
    terms = (TfidfVectorizer(analyzer=of, min_df=2, sublinear_tf=True) for of in (phrases, runs))
    teacher = make_pipeline(make_union(*terms), LogisticRegression(C=2.0, max_iter=1000))
    found = cross_val_predict(teacher, list(documents), labels.numpy(), cv=FOLDS, method="predict_proba")
    return given.lerp(torch.tensor(found, dtype=torch.float32), share)


def phrases(document: Document) -> list[str]:
    """Return words, and pairs of neighbouring words."""
    words, _ = document
    return [*words, *map(" ".join, pairwise(words))]


def runs(document: Document) -> list[str]:
    """Return all runs of one to three characters."""
    _, text = document
    return [text[start : start + n] for n in range(1, LONGEST + 1) for start in range(len(text) - n + 1)]
