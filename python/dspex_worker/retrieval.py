"""Retrievers made of JSON: examples and passages that are like a query.

KNN, Embeddings and Retrieve are DSPy's; BM25 is ours and needs nothing. It owns where a
corpus comes from; `chain` makes a retriever a step of a pipeline.
"""

from __future__ import annotations

import itertools
import re
import zlib
from pathlib import Path
from typing import Any

import dspy

from . import bm25, datasets
from .errors import Refusal, first_line, near_matches, unknown
from .kernel import shell

_WIDTH = 1024
_TEXTS = (".txt", ".md")


class Nearest(dspy.Module):
    """KNN: the examples of a dataset that are most like the inputs."""

    shown_as = "KNN"

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        rows = datasets.examples(options["dataset"])
        self.fields = sorted(rows[0].inputs().keys())
        self.knn = dspy.KNN(options["k"], rows, vectorizer=embedder(options["embedder"]))

    def forward(self, **inputs: Any) -> Any:
        """The nearest examples, best first."""
        need(self.fields, inputs)
        found = self.knn(**inputs)
        return dspy.Prediction(examples=[dict(example.toDict()) for example in found])


class Passages(dspy.Module):
    """Embeddings, with or without scores: the passages of a corpus that are most like a query."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__()
        self.shown_as = name
        texts = _corpus(options["corpus"], options["field"])
        self.search = getattr(dspy, name)(
            corpus=texts,
            embedder=embedder(options["embedder"]),
            k=min(options["k"], len(texts)),
            normalize=options["normalize"],
        )

    def forward(self, **inputs: Any) -> Any:
        """The nearest passages, best first."""
        need(["query"], inputs)
        found = self.search(str(inputs["query"]))
        fields: dict[str, Any] = {"passages": found.passages}
        fields["indices"] = [int(i) for i in found.indices]
        if "scores" in found:
            fields["scores"] = [float(score) for score in found.scores]
        return dspy.Prediction(**fields)


class Searched(dspy.Module):
    """Retrieve through a ColBERTv2 server (R38)."""

    shown_as = "Retrieve"

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        url = options["url"]
        if not url.startswith(("http://", "https://")):
            raise Refusal(
                "invalid_option", f"`{url}` is no address", hint="begin it with http:// or https://"
            )
        self.server = dspy.ColBERTv2(url, options["port"], options["post_requests"])
        self.retrieve = dspy.Retrieve(k=options["k"])

    def forward(self, **inputs: Any) -> Any:
        """The server's passages, best first."""
        need(["query"], inputs)
        try:
            with dspy.context(rm=self.server):
                found: Any = self.retrieve(str(inputs["query"]))
        except Exception as error:
            raise Refusal(
                "retriever_failed",
                f"the server at {self.server.url} gave no passages: {first_line(error)}",
                klass="python_runtime",
                strategy="retry",
                hint="check the option `url`; `Embeddings` searches a corpus without a server",
            ) from error
        return dspy.Prediction(passages=list(found.passages))


class Lexical(dspy.Module):
    """BM25: the passages of a corpus that share the most telling words with a query (R39)."""

    shown_as = "BM25"

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.texts = _corpus(options["corpus"], options["field"])
        self.index = bm25.Index(self.texts)
        self.k = options["k"]

    def forward(self, **inputs: Any) -> Any:
        """The passages with their scores, best first; none where no word is shared."""
        need(["query"], inputs)
        found = self.index.best(str(inputs["query"]), self.k)
        return dspy.Prediction(
            passages=[self.texts[at] for at, _ in found],
            indices=[at for at, _ in found],
            scores=[round(score, 4) for _, score in found],
        )


# What can be a step of a pipeline, and gives the steps after it a `context`.
RETRIEVERS = (Lexical, Passages, Searched)
NAMES = ("BM25", "Embeddings", "EmbeddingsWithScores", "Retrieve")


def embedder(chosen: Any) -> Any:
    """An embedder of a name, a function or a model string."""
    if callable(chosen):
        return dspy.Embedder(chosen, caching=False)
    if chosen == "words":
        return dspy.Embedder(words, caching=False)
    found = shell.namespace().get(str(chosen))
    if callable(found):
        return found if isinstance(found, dspy.Embedder) else dspy.Embedder(found, caching=False)
    if "/" in str(chosen):
        return dspy.Embedder(str(chosen))
    raise unknown("embedder", str(chosen), ["words"])


def words(texts: list[str]) -> Any:
    """Vectors of words and pairs of words, by hash: offline, and the same everywhere."""
    import numpy

    rows = numpy.zeros((len(texts), _WIDTH), dtype=numpy.float32)
    for row, text in zip(rows, texts, strict=True):
        tokens = "".join(c if c.isalnum() else " " for c in text.lower()).split()
        pairs = [f"{a} {b}" for a, b in itertools.pairwise(tokens)]
        for token in [*tokens, *pairs]:
            row[zlib.crc32(token.encode("utf-8", "replace")) % _WIDTH] += 1.0
        row /= float(numpy.linalg.norm(row)) or 1.0
    return rows


def _corpus(corpus: Any, field: str | None) -> list[str]:
    """The texts of a list, a file, a dataset, or a list of the notebook."""
    if isinstance(corpus, str):
        corpus = _named(corpus)
    if isinstance(corpus, list) and corpus and all(isinstance(text, str) for text in corpus):
        return list(corpus)
    rows = [dict(example.toDict()) for example in datasets.examples(corpus)]
    chosen = field or next(iter(rows[0]))
    if chosen not in rows[0]:
        raise unknown("field", chosen, rows[0])
    return [str(row.get(chosen) or "") for row in rows]


def _named(name: str) -> Any:
    """What has this name in the notebook, else among the files; else the name."""
    found = shell.namespace().get(name)
    if isinstance(found, list):
        return found if found and isinstance(found[0], str) else name
    if "/" not in name and "." not in name:
        return name
    path = datasets.path_of(name)
    if path.suffix.lower() not in _TEXTS:
        return datasets.load({"path": name})["rows"]
    return _paragraphs(path)


def _paragraphs(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            "unreadable_file", f"`{path}`: {first_line(error)}", path=str(path)
        ) from error
    found = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
    if not found:
        raise Refusal("empty_dataset", f"`{path}` holds no text", path=str(path))
    return found


def need(fields: list[str], inputs: dict[str, Any]) -> None:
    """Refuse missing and unknown inputs of a module that has no signature."""
    listed = ", ".join(f"`{name}`" for name in fields)
    for name in fields:
        if name not in inputs:
            raise Refusal("missing_input", f"missing input: `{name}`", hint=f"inputs: {listed}")
    for name in inputs:
        if name not in fields:
            near = near_matches(name, fields)
            text = f"no input is called `{name}`"
            raise Refusal("unknown_input", text, hint=f"inputs: {listed}", near=near)
