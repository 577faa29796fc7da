"""Initial word vectors from the training texts alone: words with similar neighbours get similar vectors.

Levy and Goldberg 2014, "Neural word embedding as implicit matrix factorization": the positive pointwise mutual
information of neighbouring words, reduced to a few dimensions by a singular value decomposition.
"""

from collections.abc import Iterable

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

WINDOW = 4  # words to either side
SMOOTHING = 0.75  # rare neighbours count less: their information is overrated
SCALE = 0.05  # standard deviation; torch's 1 would drown what is learnt from a few thousand texts


def pmi_vectors(texts: Iterable[Tensor], words: int, dimensions: int, seed: int) -> Tensor:
    """Return the vectors, (words, dimensions), from texts: the numbers of their words, (T,) each, below `words`."""
    rows, columns, weights = [], [], []
    for text in texts:
        for distance in range(1, min(WINDOW, len(text) - 1) + 1):
            rows.append(text[:-distance])
            columns.append(text[distance:])
            weights.append(np.full(len(text) - distance, 1 / distance))
    places = (torch.cat(rows).numpy(), torch.cat(columns).numpy())
    near = coo_matrix((np.concatenate(weights), places), shape=(words, words)).tocsr()
    near = (near + near.T).tocoo()  # (words, words): how often two are neighbours, far ones counting less
    count = np.asarray(near.sum(axis=1)).ravel()
    chance = count**SMOOTHING / (count**SMOOTHING).sum()
    information = np.log(near.data / (count[near.row] * chance[near.col]))
    positive = information > 0
    matrix = csr_matrix((information[positive], (near.row[positive], near.col[positive])), shape=(words, words))
    left, values, _ = randomized_svd(matrix, min(words, dimensions), n_iter=4, random_state=seed)
    result = np.zeros((words, dimensions))
    result[:, : len(values)] = left * np.sqrt(values)
    return torch.tensor(result * (SCALE / max(result.std(), 1e-9)), dtype=torch.float32)
