"""A ReAct agent with one plain and one asynchronous tool."""

import asyncio

import dspy

dspy.configure(lm=dspy.LM("openai/gpt-4o-mini"))

STOCK = {"kestrel": 12, "heron": 0, "osprey": 41}
PRICES = {"kestrel": 199.0, "heron": 349.5, "osprey": 89.0}


def stock_of(device: str) -> int:
    """How many of a device are in stock."""
    return STOCK[device.lower()]


async def price_of(device: str) -> float:
    """The price of a device in euros."""
    await asyncio.sleep(0.01)
    return PRICES[device.lower()]


agent = dspy.ReAct("question -> answer", tools=[stock_of, price_of], max_iters=4)


async def ask(question: str) -> dspy.Prediction:
    return await agent.acall(question=question)


async def main() -> None:
    questions = [
        "What is the price of the kestrel?",
        "How many of the osprey are in stock?",
    ]
    for question in questions:
        prediction = await ask(question)
        steps = sum(1 for key in prediction.trajectory if key.startswith("tool_name_"))
        print(f"{question} {prediction.answer} ({steps} steps)")
        for step in range(steps):
            name = prediction.trajectory[f"tool_name_{step}"]
            observation = prediction.trajectory[f"observation_{step}"]
            print(f"  {name}: {observation}")


asyncio.run(main())
