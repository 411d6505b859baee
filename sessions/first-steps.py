# %% [markdown]
# # First steps
# A program, its answer, a typed signature, a module of one's own.

# %%
import dspy

dspy.configure(lm=dspy.LM("demo/demo"))

qa = dspy.ChainOfThought("question -> answer")
qa(question="What is 12*7?")

# %%
from typing import Literal


class Triage(dspy.Signature):
    """Decide how the writer of a message feels."""

    message: str = dspy.InputField()
    mood: Literal["happy", "unhappy"] = dspy.OutputField()
    urgent: bool = dspy.OutputField(desc="whether somebody should answer today")


triage = dspy.Predict(Triage)
triage(message="The new release is wonderful, everybody here loves it. Thank you!")

# %%
triage(message="This is terrible. The parcel is broken and I am angry.")


# %%
class Digest(dspy.Module):
    """Summarises a text, then asks how it sounds."""

    def __init__(self):
        super().__init__()
        self.summarise = dspy.ChainOfThought("text -> summary")
        self.triage = dspy.Predict(Triage)

    def forward(self, text):
        summary = self.summarise(text=text).summary
        mood = self.triage(message=summary)
        return dspy.Prediction(summary=summary, mood=mood.mood)


digest = Digest()
digest(text="The launch went well. Sales are up by a third. The team is happy.")

# %%
# Four tries at the same question; the longest answer wins.
tries = []


def length(args, prediction):
    tries.append(prediction.answer)
    return len(prediction.answer) / 100


best = dspy.BestOfN(qa, N=4, reward_fn=length, threshold=1.0)
print("best:", best(question="What is 12*7?").answer)
tries

# %%
# An error is recorded like everything else.
qa(question=str(1 / 0))
