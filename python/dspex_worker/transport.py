"""The door: DSPy's HTTP transports replaced by calls to the workbench.

Bytes in, bytes out; the workbench holds keys, records and retries nothing.
Only DSPy's own transport exceptions are raised, besides `RunCancelled`.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import _dspex

from . import pricing, scope, trace

_active: Any = None


class LmRequest(NamedTuple):
    """A request and who made it: the arguments of `_dspex.lm_call`, in its order."""

    span: str | None
    parent: str | None
    run: int | None
    cell: int | None
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    timeout: float | None
    cache: bool
    rollout_id: int | None
    price: tuple[float, float] | None

    def wants_stream(self) -> bool:
        """Whether the answer is asked for in pieces."""
        if b'"stream"' in self.body and b'"stream":true' in self.body.replace(b" ", b""):
            return True
        return ":streamGenerateContent" in self.url


def install() -> str:
    """Replace both transports; answers `transport`, or `loopback` for another DSPy."""
    global _active
    try:
        from dspy._vendor.lm15.transports import StdlibAsyncTransport, StdlibTransport
        from dspy._vendor.lm15.transports import _exceptions as errors
        from dspy._vendor.lm15.transports import _types as types
        from dspy.utils.callback_context import ACTIVE_CALL_ID
    except ImportError:
        return "loopback"
    _active = ACTIVE_CALL_ID
    StdlibTransport.stream = _sync_door(errors, types)
    StdlibAsyncTransport.stream = _async_door(errors, types)
    return "transport"


def active_id() -> str | None:
    """DSPy's active call id."""
    return None if _active is None else _active.get()


def request(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes, timeout: float | None
) -> LmRequest:
    """A request made by the code that runs now."""
    span = active_id()
    call = trace.lm_call(span)
    run = scope.run()
    cell = scope.cell_of(run)
    if call is None:
        parent, cache, rollout_id, price = span, True, None, None
        span = None
    else:
        trace.passed(span or "")
        parent, cache, rollout_id = call.parent, call.cache, call.rollout_id
        price = pricing.of(call.model)
    return LmRequest(
        span,
        parent,
        run,
        cell,
        method,
        url,
        headers,
        body,
        timeout,
        cache,
        rollout_id,
        price,
    )


def _of_dspy(door: Any, sent: Any) -> LmRequest:
    timeout = sent.read_timeout or getattr(door, "_read_timeout", None)
    headers = [(str(name), str(value)) for name, value in sent.headers]
    return request(sent.method, sent.url, headers, bytes(sent.body), timeout)


def _translate(errors: Any, failure: Any) -> BaseException:
    kinds = {
        "connect": errors.ConnectError,
        "timeout": errors.ReadTimeout,
        "read": errors.ReadError,
        "protocol": errors.ProtocolError,
    }
    kind = kinds.get(getattr(failure, "kind", ""), errors.TransportError)
    return kind(str(getattr(failure, "message", failure)))


def _sync_door(errors: Any, types: Any) -> Any:
    def stream(self: Any, sent: Any) -> Any:
        call = _of_dspy(self, sent)
        if call.wants_stream():
            return _sync_stream(errors, types, call)
        try:
            status, headers, body = _dspex.lm_call(*call)
        except _dspex.TransportFailure as failure:
            raise _translate(errors, failure) from None
        return types.TransportResponse(
            status=status,
            reason="",
            headers=list(headers),
            http_version="HTTP/1.1",
            chunks=iter((body,)),
            release=lambda consumed: None,
        )

    return stream


class Pieces:
    """Pieces of a streamed answer, handed from the reader's thread to a waiting one."""

    def __init__(self, call: LmRequest) -> None:
        self._queue: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._done = False
        self._run = call.run
        self._handle = _dspex.lm_open(*call, True, self._put)
        try:
            self.head, self.first = self._until_head()
        except BaseException:
            self.drop()
            raise

    def _put(self, *piece: Any) -> None:
        self._queue.put(piece)

    def _until_head(self) -> tuple[tuple[int, list[tuple[str, str]]], bytes]:
        status, headers, chunk, final, failure = self._next()
        self._done = final
        if failure is not None:
            raise failure
        return (status or 200, list(headers or [])), chunk

    def _next(self) -> tuple[Any, ...]:
        # A wait in slices, so that SIGINT on the main thread is noticed.
        while True:
            try:
                return self._queue.get(timeout=0.1)
            except queue.Empty:
                if self._run is not None and _dspex.is_cancelled(self._run):
                    raise _dspex.RunCancelled("the run was cancelled") from None

    def __iter__(self) -> Iterator[bytes]:
        yield self.first
        while not self._done:
            _, _, chunk, final, failure = self._next()
            self._done = final
            if failure is not None:
                raise failure
            yield chunk

    def drop(self, *_: Any) -> None:
        """Say that nobody waits any more, unless all came."""
        if not self._done:
            self._done = True
            _dspex.lm_drop(self._handle)


def _sync_stream(errors: Any, types: Any, call: LmRequest) -> Any:
    try:
        pieces = Pieces(call)
    except _dspex.TransportFailure as failure:
        raise _translate(errors, failure) from None

    def chunks() -> Iterator[bytes]:
        try:
            yield from pieces
        except _dspex.TransportFailure as failure:
            raise _translate(errors, failure) from None

    status, headers = pieces.head
    return types.TransportResponse(
        status=status,
        reason="",
        headers=headers,
        http_version="HTTP/1.1",
        chunks=chunks(),
        release=pieces.drop,
    )


class AsyncPieces:
    """Pieces of an answer for a coroutine; whole answers are one piece."""

    def __init__(self, call: LmRequest, stream: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self._done = False
        self._handle = _dspex.lm_open(*call, stream, self._put)

    def _put(self, *piece: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)
        except RuntimeError:
            self._done = True  # the loop is closed: nobody waits

    async def next(self) -> tuple[Any, ...]:
        """The next piece."""
        piece = await self._queue.get()
        self._done = bool(piece[3])
        if piece[4] is not None:
            raise piece[4]
        return piece

    async def rest(self, first: bytes) -> AsyncIterator[bytes]:
        """The first piece's bytes and all that follow."""
        yield first
        while not self._done:
            yield (await self.next())[2]

    def drop(self) -> None:
        """Say that nobody waits any more, unless all came."""
        if not self._done:
            self._done = True
            _dspex.lm_drop(self._handle)


class _AsyncDoor:
    """What `StdlibAsyncTransport.stream` answers: awaitable, and a context manager."""

    def __init__(self, errors: Any, types: Any, call: LmRequest) -> None:
        self._errors = errors
        self._types = types
        self._call = call
        self._pieces: AsyncPieces | None = None

    def __await__(self) -> Any:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Any:
        call = self._call
        pieces = None
        try:
            pieces = AsyncPieces(call, call.wants_stream())
            status, headers, chunk, _, _ = await pieces.next()
        except _dspex.TransportFailure as failure:
            raise _translate(self._errors, failure) from None
        except BaseException:
            if pieces is not None:
                pieces.drop()
            raise
        self._pieces = pieces
        return self._types.AsyncTransportResponse(
            status=status or 200,
            reason="",
            headers=list(headers or []),
            http_version="HTTP/1.1",
            chunks=self._chunks(pieces, chunk),
            release=self._release,
        )

    async def _chunks(self, pieces: AsyncPieces, first: bytes) -> AsyncIterator[bytes]:
        try:
            async for chunk in pieces.rest(first):
                yield chunk
        except _dspex.TransportFailure as failure:
            raise _translate(self._errors, failure) from None

    async def _release(self, body_consumed: bool) -> None:
        if self._pieces is not None:
            self._pieces.drop()

    async def __aexit__(self, *_: Any) -> None:
        await self._release(False)


def _async_door(errors: Any, types: Any) -> Any:
    def stream(self: Any, sent: Any) -> Any:
        return _AsyncDoor(errors, types, _of_dspy(self, sent))

    return stream
