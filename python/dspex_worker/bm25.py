"""BM25: which texts share the most telling words with a query.

Counts words and nothing else: no LM, no embeddings, no packages. Where the texts come
from is `retrieval`'s.
"""

from __future__ import annotations

import math
import re
from collections import Counter

_WORD = re.compile(r"\w+")
# How soon a word that comes again counts for less, and how much a long text is held to be
# about everything: the values of the literature.
_K1, _B = 1.5, 0.75


class Index:
    """Texts, their words counted once."""

    def __init__(self, texts: list[str]) -> None:
        self._counts = [Counter(words(text)) for text in texts]
        lengths = [sum(counts.values()) for counts in self._counts]
        mean = sum(lengths) / max(1, len(lengths)) or 1.0
        self._norms = [_K1 * (1 - _B + _B * length / mean) for length in lengths]
        self._texts_with = Counter(word for counts in self._counts for word in counts)

    def best(self, query: str, k: int) -> list[tuple[int, float]]:
        """At most `k` positions of texts with their scores, best first; only such as share
        a word with the query."""
        weights = {word: self._weight(word) for word in set(words(query))}
        scored = [(at, self._score(at, weights)) for at in range(len(self._counts))]
        found = [(at, score) for at, score in scored if score > 0]
        return sorted(found, key=lambda one: (-one[1], one[0]))[:k]

    def _weight(self, word: str) -> float:
        """Much for a word that few texts have."""
        having = self._texts_with[word]
        return math.log(1 + (len(self._counts) - having + 0.5) / (having + 0.5))

    def _score(self, at: int, weights: dict[str, float]) -> float:
        counts, norm = self._counts[at], self._norms[at]
        return sum(
            weight * counts[word] * (_K1 + 1) / (counts[word] + norm)
            for word, weight in weights.items()
            if word in counts
        )


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())
