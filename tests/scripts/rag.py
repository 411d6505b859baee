"""A two-module RAG program, evaluated, bootstrapped and evaluated again."""

from typing import Literal

import dspy

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini"))

PASSAGES = [
    "The Kestrel battery lasts 14 hours and charges in 90 minutes.",
    "The Heron battery lasts 22 hours and charges in three hours.",
    "Kestrel devices are serviced in Porto; parts ship within two days.",
    "Heron devices are serviced in Gdansk; parts ship within five days.",
    "All devices carry a warranty of three years from the day of purchase.",
    "The Kestrel weighs 310 grams and the Heron weighs 540 grams.",
]


def retrieve(query: str, k: int = 2) -> list[str]:
    """The k passages that share most words with the query."""
    words = set(query.lower().replace("?", "").split())
    return sorted(PASSAGES, key=lambda p: -len(words & set(p.lower().strip(".").split())))[:k]


class Route(dspy.Signature):
    """Decide which device a question is about."""

    question: str = dspy.InputField()
    device: Literal["kestrel", "heron", "any"] = dspy.OutputField(desc="the device asked about")


class RAG(dspy.Module):
    def __init__(self):
        super().__init__()
        self.route = dspy.Predict(Route)
        self.respond = dspy.ChainOfThought("context: list[str], question: str -> answer: str")

    def forward(self, question: str):
        device = self.route(question=question).device
        context = retrieve(f"{device} {question}")
        return self.respond(context=context, question=question)


def mentions(example, prediction, trace=None) -> bool:
    return example.answer.lower() in prediction.answer.lower()


DATA = [
    dspy.Example(question=q, answer=a).with_inputs("question")
    for q, a in [
        ("How long does the Kestrel battery last?", "14 hours"),
        ("How long does the Heron battery last?", "22 hours"),
        ("Where are Kestrel devices serviced?", "Porto"),
        ("Where are Heron devices serviced?", "Gdansk"),
        ("How long is the warranty of the devices?", "three years"),
        ("What does the Kestrel weigh?", "310 grams"),
    ]
]
train, test = DATA[:3], DATA[3:]

rag = RAG()
evaluate = dspy.Evaluate(devset=test, metric=mentions, num_threads=2, display_progress=False)
before = evaluate(rag)
compiled = dspy.BootstrapFewShot(metric=mentions, max_bootstrapped_demos=2).compile(
    rag, trainset=train
)
after = evaluate(compiled)
print(f"before {before.score} after {after.score}")
print(compiled(question="Where are Heron devices serviced?").answer)
