"""N-gram language model, the baseline of text generation."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

Tokens = Sequence[int]


class NGrams:
    """Interpolated Kneser-Ney smoothing (Chen and Goodman 1999): a `DISCOUNT` is subtracted from the count of an n-gram
    seen in training, and its probability is distributed over the tokens by the number of different contexts that each
    follows.
    """

    DISCOUNT = 0.75

    def __init__(self, texts: Iterable[Tokens], order: int, vocabulary_size: int) -> None:
        self.order, self.vocabulary_size = order, vocabulary_size
        grams: Counter[tuple[int, ...]] = Counter()
        for text in texts:
            for end in range(1, len(text)):
                grams[tuple(text[max(0, end - order + 1) : end + 1])] += 1
        # Of each order: context -> token -> count; below the highest, of how many contexts (Kneser and Ney 1995).
        self.counts: list[dict[tuple[int, ...], Counter[int]]] = [defaultdict(Counter) for _ in range(order)]
        for gram in sorted(grams):
            self.counts[len(gram) - 1][gram[:-1]][gram[-1]] += grams[gram]
        for length in range(order - 1, 0, -1):
            for context, tokens in list(self.counts[length].items()):
                for token in tokens:
                    self.counts[length - 1][context[1:]][token] += 1
        self.totals = [{context: sum(tokens.values()) for context, tokens in each.items()} for each in self.counts]

    def probability(self, context: Tokens, token: int) -> float:
        """Return the probability of `token` after `context`, of which the last order - 1 tokens count."""
        probability = 1 / self.vocabulary_size
        known = tuple(context[max(0, len(context) - self.order + 1) :])
        for length in range(len(known) + 1):
            nearest = known[len(known) - length :]
            seen = self.counts[length].get(nearest)
            if seen is None:
                break
            total = self.totals[length][nearest]
            saved = self.DISCOUNT * len(seen) / total
            probability = max(seen[token] - self.DISCOUNT, 0.0) / total + saved * probability
        return probability

    def perplexity(self, texts: Iterable[Tokens]) -> float:
        """Return the perplexity over all tokens but the first of each text."""
        logs = [math.log(self.probability(text[:end], text[end])) for text in texts for end in range(1, len(text))]
        return math.exp(-math.fsum(logs) / len(logs))
