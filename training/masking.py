"""Which words a masked language model has to guess."""

import torch
from torch import Tensor

SHARE = 0.15  # of the words
MASKED, SWAPPED = 0.8, 0.1  # of those: the rest stays as it is, for a word that is seen has to be understood, too


def masked(ids: Tensor, words: Tensor, mask: int, special: int, size: int) -> tuple[Tensor, Tensor]:
    """ids (N, T) and the number of the word that each is of, (N, T), 0 for those that are of none -> what is shown
    (N, T), and where to guess, (N, T) of bool. Whole words (Cui et al., arXiv:1906.08101); swapped tokens become one of
    those from `special` to `size`.
    """
    drawn = torch.rand(len(ids), int(words.max()) + 1, device=ids.device).gather(1, words)  # the same for all of a word
    wanted = (drawn < SHARE) & (words > 0)
    fate = torch.rand(ids.shape, device=ids.device)
    shown = ids.masked_fill(wanted & (fate < MASKED), mask)
    others = torch.randint(special, size, ids.shape, device=ids.device)
    return torch.where(wanted & (fate >= 1 - SWAPPED), others, shown), wanted
