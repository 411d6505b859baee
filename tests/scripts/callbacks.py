"""A program with its own callbacks, awaited at top level from a script."""

import asyncio

import dspy
from dspy.utils.callback import BaseCallback


class Recorder(BaseCallback):
    """Counts what DSPy reports, and checks that starts and ends match."""

    def __init__(self):
        self.open: dict[str, str] = {}
        self.seen: list[str] = []
        self.failures = 0

    def on_module_start(self, call_id, instance, inputs):
        self.open[call_id] = type(instance).__name__
        self.seen.append(type(instance).__name__)

    def on_module_end(self, call_id, outputs, exception=None):
        self.open.pop(call_id)
        self.failures += exception is not None

    def on_lm_start(self, call_id, instance, inputs):
        self.open[call_id] = "lm"
        self.seen.append("lm")

    def on_lm_end(self, call_id, outputs, exception=None):
        self.open.pop(call_id)


recorder = Recorder()
dspy.configure(lm=dspy.LM("openai/gpt-4o-mini"), callbacks=[recorder])


class Summarise(dspy.Module):
    """Summarises a text, then names its tone."""

    def __init__(self):
        super().__init__()
        self.shorten = dspy.ChainOfThought("text -> summary")
        self.tone = dspy.Predict("summary -> positive: bool")

    async def aforward(self, text: str):
        summary = (await self.shorten.acall(text=text)).summary
        tone = await self.tone.acall(summary=summary)
        return dspy.Prediction(summary=summary, positive=tone.positive)


async def main():
    module = Summarise()
    texts = ["The release is wonderful. Users love it.", "The build is broken. Nobody is happy."]
    return await asyncio.gather(*(module.acall(text=text) for text in texts))


for prediction in asyncio.run(main()):
    print(prediction.positive, prediction.summary)
print("modules", recorder.seen.count("Summarise"), "lm calls", recorder.seen.count("lm"))
print("open", len(recorder.open), "failures", recorder.failures)
