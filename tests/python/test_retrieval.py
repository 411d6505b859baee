"""Retrievers, and pipelines that begin with one."""

import json

import pytest
from dspex_worker import bm25

PETS = [
    "Cats sleep for most of the day and hunt at night.",
    "Dogs bark at strangers and love long walks.",
    "Goldfish live in water. Goldfish need a filter, a heater and a friend.",
    "A parrot may live for sixty years.",
]
RAG = ["BM25", "dspy.ChainOfThought"]


def result(answer):
    assert "error" not in answer or answer["error"] is None, answer
    return answer["result"]


def pipeline(corpus, signature="context, question -> answer", modules=RAG, **options):
    return {
        "modules": modules,
        "signature": signature,
        "options": {"BM25": {"corpus": corpus, **options}},
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("How long does a PARROT live?", [3, 2, 1]),
        ("goldfish", [2]),
        ("strangers, dogs!", [1]),
        ("submarine", []),
        ("", []),
    ],
)
def test_words_that_few_texts_have_count_most(query, expected):
    found = bm25.Index(PETS).best(query, 3)
    assert [at for at, _ in found] == expected
    assert all(score > 0 for _, score in found)


def test_a_corpus_without_words_finds_nothing():
    assert bm25.Index([]).best("cats", 3) == bm25.Index(["", "…"]).best("cats", 3) == []


def test_corpora_come_from_everywhere(call, tmp_path):
    """R39: texts, paragraphs of a file, rows of a file, a dataset."""
    rows = [{"text": text, "id": at} for at, text in enumerate(PETS)]
    text = tmp_path / "pets.txt"
    text.write_text("\n\n".join(text.replace(" and", "\nand") for text in PETS) + "\n\n\n")
    lines = tmp_path / "pets.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for corpus in (PETS, str(text), str(lines), rows):
        asked = {
            "module": "BM25",
            "options": {"corpus": corpus, "k": 1},
            "inputs": {"query": "dogs"},
        }
        found = result(call("execute_module", asked, lm=True))
        assert (found["passages"], found["indices"]) == ([PETS[1]], [1]), corpus
    missing = {"module": "BM25", "options": {"corpus": "pet.txt"}, "inputs": {"query": "x"}}
    assert call("execute_module", missing)["error"]["type"] == "unknown_file"
    text.write_text("\n")
    asked["options"]["corpus"] = str(text)
    assert call("execute_module", asked)["error"]["type"] == "empty_dataset"


def test_a_retriever_and_a_chain_of_thought(call, native):
    """R39: the passages are the next step's context, and are answered with the rest."""
    asked = {"program": pipeline(PETS, k=2), "inputs": {"question": "What do dogs love?"}}
    found = result(call("execute_program", asked))
    assert found["context"][0] == PETS[1] and len(found["context"]) <= 2
    assert found["answer"] == found["reasoning"] == "paris"
    prompt = json.dumps(json.loads(native.calls[-1][7])["messages"])
    assert "love long walks" in prompt and len(native.calls) == 1
    started = [(span[4], span[5]) for span in native.spans if span[0] == "start"]
    modules = [name for kind, name in started if kind == "module"]
    assert modules == ["Pipeline", "BM25", "ChainOfThought", "Predict"]


def test_pipelines_are_programs(call):
    """R14, R39: made once, asked with the question alone, whether `context` was named or not."""
    for signature in ("context, question -> answer", "question -> answer"):
        made = result(call("create_program", {"name": "rag", **pipeline(PETS, signature)}))
        assert [field["name"] for field in made["signature"]["inputs"]] == ["question"]
        asked = {"program": made, "inputs": {"question": "goldfish?"}}
        assert result(call("execute_program", asked))["context"] == [PETS[2]]
    wrong = {"program": made, "inputs": {"query": "goldfish?"}}
    assert call("execute_program", wrong)["error"]["type"] == "missing_input"
    for modules, signature in (
        (["BM25", "BM25"], "question -> answer"),
        (RAG, "context -> answer"),
    ):
        asked = {"name": "no", **pipeline(PETS, signature, modules)}
        assert call("create_program", asked)["error"]["recovery"]["hint"]


def test_a_step_between_others_sees_both(call, native):
    """R39: a retriever in the middle; the step after it improves on the step before."""
    modules = ["Predict", "BM25", "ChainOfThought"]
    asked = {
        "program": pipeline(PETS, "question -> answer", modules),
        "inputs": {"question": "cats"},
    }
    assert result(call("execute_program", asked))["answer"] == "paris"
    last = json.loads(native.calls[-1][7])["messages"][-1]["content"]
    assert "previous_answer" in last and "hunt at night" in last
