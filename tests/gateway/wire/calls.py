"""The same requests in any Python: seven kinds, four providers, sync and async.

`WIRE_BASES` holds `{provider: [base URL, key]}`. Prints one line of JSON: an answer
for each request, in their order.
"""

import asyncio
import json
import os

import dspy

BASES = json.loads(os.environ["WIRE_BASES"])
MODELS = {
    "openai": ("openai/gpt-4o-mini", "openai/gpt-5-mini"),
    "anthropic": ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
    "gemini": ("gemini/gemini-2.5-flash", "gemini/gemini-2.5-flash"),
    "ollama": ("ollama_chat/llama3.2", "ollama_chat/qwen3"),
}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def look_up(city: str, days: int = 1) -> str:
    """Weather of a city."""
    return f"{city} {days}"


class WithTools(dspy.Signature):
    """Call a tool."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


class WithImage(dspy.Signature):
    """Say what is seen."""

    picture: dspy.Image = dspy.InputField()
    answer: str = dspy.OutputField()


class WithHistory(dspy.Signature):
    """Go on."""

    question: str = dspy.InputField()
    history: dspy.History = dspy.InputField()
    answer: str = dspy.OutputField()


class WithReasoning(dspy.Signature):
    """Think first."""

    question: str = dspy.InputField()
    reasoning: dspy.Reasoning = dspy.OutputField()
    answer: str = dspy.OutputField()


QUESTION = {"question": 'six by seven \u20ac "quoted" \U0001f642'}
KINDS = {
    "text": ("question -> answer", QUESTION),
    "schema": ("question -> answer", QUESTION),
    "tools": (WithTools, {**QUESTION, "tools": [dspy.Tool(look_up)]}),
    "image": (WithImage, {"picture": dspy.Image(PIXEL)}),
    "history": (
        WithHistory,
        {**QUESTION, "history": dspy.History(messages=[{"question": "a?", "answer": "b"}])},
    ),
    "reasoning": (WithReasoning, QUESTION),
    "streaming": ("question -> answer", QUESTION),
}


def lm(provider, kind):
    """The LM of a request."""
    base, key = BASES[provider]
    plain, thinking = MODELS[provider]
    if kind == "reasoning":
        more = {"temperature": 1.0, "max_tokens": 16000, "reasoning_effort": "low"}
        return dspy.LM(thinking, api_base=base, api_key=key, cache=False, **more)
    return dspy.LM(plain, api_base=base, api_key=key, cache=False, temperature=0.1, max_tokens=50)


def adapter(kind):
    """How a request is written."""
    if kind in ("schema", "tools"):
        return dspy.JSONAdapter()
    return dspy.ChatAdapter()


def streaming(signature, how):
    """A program that streams: its call sync and read by a plain loop, or all of it async."""
    listener = dspy.streaming.StreamListener(signature_field_name="answer")
    manner = {"async_streaming": False} if how == "sync" else {"is_async_program": True}
    return dspy.streamify(dspy.Predict(signature), stream_listeners=[listener], **manner)


def whole(pieces):
    """A streamed answer: its pieces, then the whole."""
    *chunks, last = pieces
    return {"pieces": "".join(chunk.chunk for chunk in chunks), "answer": last.answer}


async def streamed(signature, inputs):
    """Of an async program."""
    return whole([piece async for piece in streaming(signature, "async")(**inputs)])


def shown(prediction, used):
    """An answer as JSON."""
    last = used.history[-1]
    return {
        "fields": {name: str(value) for name, value in prediction.items()},
        "usage": {k: v for k, v in dict(last.get("usage") or {}).items() if isinstance(v, int)},
    }


def answer(provider, kind, how):
    """What came of one request."""
    signature, inputs = KINDS[kind]
    used = lm(provider, kind)
    with dspy.context(lm=used, adapter=adapter(kind)):
        if kind == "streaming":
            if how == "async":
                return asyncio.run(streamed(signature, inputs))
            return whole(streaming(signature, "sync")(**inputs))
        predict = dspy.Predict(signature)
        if how == "async":
            return shown(asyncio.run(predict.acall(**inputs)), used)
        return shown(predict(**inputs), used)


print(
    json.dumps(
        [
            [provider, kind, how, answer(provider, kind, how)]
            for provider in MODELS
            for kind in KINDS
            for how in ("sync", "async")
        ]
    )
)
