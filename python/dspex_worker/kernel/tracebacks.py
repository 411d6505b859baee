"""Tracebacks of deep recursion, quickly: the same frame is drawn a few times, then counted.

IPython looks the source of every frame up before it folds those that repeat, which
takes ten seconds for a recursion without end. Here the folding comes first. What a
frame looks like stays IPython's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import CodeType, TracebackType
from typing import Any

# Shorter tracebacks are IPython's own business.
DEEP = 100
# How often a repeated frame is drawn before and after the count.
FIRST, LAST = 2, 1

Key = tuple[CodeType, int]


def shorten(formatter: Any) -> None:
    """Make an IPython traceback formatter fold repeated frames before it looks at them."""
    whole = formatter.get_records

    def get_records(traceback: TracebackType, context: int, offset: int) -> Any:
        frames = list(_frames(traceback))
        if len(frames) <= DEEP:
            return whole(traceback, context, offset)
        records: list[Any] = []
        for drawn, run in _runs(frames):
            if drawn:
                records.extend(whole(_chain(run), context, 0 if records else offset))
            else:
                records.append(_count(run))
        return records

    formatter.get_records = get_records


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _key(frame: TracebackType) -> Key:
    return frame.tb_frame.f_code, frame.tb_lineno


def _runs(frames: list[TracebackType]) -> Iterator[tuple[bool, list[TracebackType]]]:
    """The frames in order, in runs that are to be drawn, or counted."""
    left = Counter(map(_key, frames))
    seen: Counter[Key] = Counter()
    drawn, run = True, []
    for frame in frames:
        key = _key(frame)
        seen[key] += 1
        left[key] -= 1
        draw = seen[key] <= FIRST or left[key] < LAST
        if draw != drawn and run:
            yield drawn, run
            run = []
        drawn = draw
        run.append(frame)
    if run:
        yield drawn, run


def _chain(frames: list[TracebackType]) -> TracebackType | None:
    """A traceback of these frames only; the exception keeps its own."""
    chain: TracebackType | None = None
    for frame in reversed(frames):
        chain = TracebackType(chain, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return chain


def _count(frames: list[TracebackType]) -> Any:
    """IPython's own line for frames that are left out."""
    from IPython.core import ultratb
    from stack_data.core import RepeatedFrames

    repeated = RepeatedFrames(list(frames), [_key(frame) for frame in frames])
    make: Any = ultratb.FrameInfo  # type: ignore
    return make._from_stack_data_FrameInfo(repeated)
