"""Which of many vectors are nearest to one: by faiss where it is installed, by torch where not. Same answers."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

try:
    import faiss

    # OpenMP's threads, once started, don't live through a fork, which is how the bundle starts workers.
    faiss.omp_set_num_threads(1)
except ImportError:  # a stock TorchServe need not have it
    faiss = None  # type: ignore[assignment]

Vectors = NDArray[np.float32]
Search = Callable[[Vectors, int], list[tuple[int, float]]]


def index(vectors: Vectors) -> Search:
    """vectors: (N, D) -> a search that takes (D,) and a count, and gives that many (place, inner product), the largest
    first. Exact: no vector is overlooked."""
    if faiss is None:
        matrix = torch.from_numpy(vectors)

        def search(query: Vectors, count: int) -> list[tuple[int, float]]:
            products, places = (matrix @ torch.from_numpy(query)).topk(min(count, len(matrix)))
            return list(zip(places.tolist(), products.tolist(), strict=True))

        return search
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)

    def search_flat(query: Vectors, count: int) -> list[tuple[int, float]]:
        products, places = flat.search(query[None], min(count, flat.ntotal))
        return list(zip(places[0].tolist(), products[0].tolist(), strict=True))

    return search_flat
