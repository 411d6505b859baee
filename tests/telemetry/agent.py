"""An agent with a tool on the demo LM, then a tool that fails."""

import dspy

dspy.configure(lm=dspy.LM("demo/demo"))


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


agent = dspy.ReAct("question -> answer", tools=[multiply], max_iters=3)
print(agent(question="What is 17 * 23?").answer)


def broken(a: int) -> int:
    """Fails."""
    raise ZeroDivisionError("by design")


dspy.Tool(broken)(a=1)
