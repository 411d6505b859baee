"""DSPy's modules that run code, with an answer where the code cannot be run.

While attempts are left, an error of the code goes back to the LM with what would
help (less work, less data); that is DSPy's own loop. After the last, or where no
sandbox starts, the module answers by generation alone, and says so.
"""

from __future__ import annotations

import contextvars
import warnings
from typing import Any, cast

import dspy
from dspy.primitives.code_interpreter import CodeInterpreterError

from .. import recording
from ..errors import first_line

_code: contextvars.ContextVar[str] = contextvars.ContextVar("code", default="")
WORDS = "answered without execution"


def _is_about_code(error: RuntimeError) -> bool:
    return isinstance(error, CodeInterpreterError) or str(error).startswith("Max hops reached")


def _note(error: RuntimeError) -> str:
    reason = first_line(error)
    recording.note(f"{WORDS}: {reason}")
    return reason


class _Telling:
    """Notes what went wrong with a piece of code, and what the LM is told would help."""

    def _execute_code(self, code: str, interpreter: Any) -> Any:
        output, error = cast("Any", super())._execute_code(code, interpreter)
        if error is not None:
            recording.note(f"tried again: {str(error).splitlines()[0][:300]}")
        return output, error


class ProgramOfThought(_Telling, dspy.ProgramOfThought):
    """Answers from the code it wrote where that cannot be run."""

    def _parse_code(self, code_data: Any) -> Any:
        parsed = super()._parse_code(code_data)
        _code.set(str(parsed[0]))
        return parsed

    def forward(self, interpreter: Any = None, /, **kwargs: Any) -> Any:
        """Run it; without execution where that fails for good."""
        try:
            return super().forward(interpreter, **kwargs)
        except RuntimeError as error:
            if not _is_about_code(error):
                raise
            given = {name: kwargs[name] for name in self.input_fields}
            return self.generate_output(
                **given,
                final_generated_code=_code.get(),
                code_output=f"(the code was not executed: {_note(error)})",
            )


class CodeAct(_Telling, dspy.CodeAct):
    """Extracts its answer from the task alone where no code can be run."""

    def forward(self, interpreter: Any = None, /, **kwargs: Any) -> Any:
        """Run it; without execution where that fails for good."""
        try:
            answer = super().forward(interpreter, **kwargs)
            if not any(name.startswith("code_output") for name in answer.trajectory):
                recording.note(f"{WORDS}: none of its code ran to its end")
            return answer
        except RuntimeError as error:
            if not _is_about_code(error):
                raise
            trajectory = {"observation_0": f"(no code could be executed: {_note(error)})"}
            kwargs.pop("max_iters", None)
            answer = self._call_with_potential_trajectory_truncation(
                self.extractor, trajectory, **kwargs
            )
            return dspy.Prediction(trajectory=trajectory, **answer)


class RLM(dspy.RLM):  # pyright: ignore[reportGeneralTypeIssues]
    """Thinks step by step instead where no code can be run."""

    def forward(self, *, interpreter_factory: Any = None, **input_args: Any) -> Any:
        """Run it; without execution where that fails for good."""
        try:
            return super().forward(interpreter_factory=interpreter_factory, **input_args)
        except RuntimeError as error:
            if not _is_about_code(error):
                raise
            _note(error)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                thinker = dspy.ChainOfThought(self.signature)
            return thinker(**input_args)


CLASSES = {"ProgramOfThought": ProgramOfThought, "CodeAct": CodeAct, "RLM": RLM}
