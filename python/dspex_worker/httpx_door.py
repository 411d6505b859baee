"""The second door: httpx, which DSPy's litellm route and embeddings use.

Only requests of an LM call, and those to the hosts of known providers, go to the
workbench; all other httpx traffic of user code is left alone. Hooks are put in
when `httpx` or `litellm` is imported, never before.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import _dspex

from . import trace, transport

MANAGED_HOSTS = (
    "api.openai.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "api.groq.com",
    "openrouter.ai",
    "api.deepseek.com",
    "api.x.ai",
    "api.mistral.ai",
    "api.together.xyz",
    "api.cohere.com",
    "api.cohere.ai",
    "demo.dspex.invalid",
)


def install() -> None:
    """Hook `httpx` and `litellm` now if they are loaded, else when they are imported."""
    hooks: dict[str, Callable[[ModuleType], None]] = {
        "httpx": _hook_httpx,
        "litellm": _hook_litellm,
    }
    for name, hook in hooks.items():
        if name in sys.modules:
            hook(sys.modules[name])
    sys.meta_path.insert(0, _AfterImport(hooks))


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls a hook right after a module was executed."""

    def __init__(self, hooks: dict[str, Callable[[ModuleType], None]]) -> None:
        self._hooks = hooks

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's own spec with a loader that hooks it."""
        hook = self._hooks.get(fullname)
        if hook is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        loader = getattr(spec, "loader", None)
        if spec is None or loader is None:
            return None
        original = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            original(module)
            hook(module)

        loader.exec_module = exec_module
        return spec


def _hook_litellm(litellm: ModuleType) -> None:
    litellm.disable_aiohttp_transport = True  # type: ignore[attr-defined]
    litellm.suppress_debug_info = True  # type: ignore[attr-defined]


def _hook_httpx(httpx: Any) -> None:
    if getattr(httpx.HTTPTransport.handle_request, "_dspex", False):
        return
    sync_original = httpx.HTTPTransport.handle_request
    async_original = httpx.AsyncHTTPTransport.handle_async_request

    def handle_request(self: Any, request: Any) -> Any:
        if not _is_ours(request):
            return sync_original(self, request)
        call = _call(request, request.read())
        try:
            if not call.wants_stream():
                status, headers, body = _dspex.lm_call(*call)
                return httpx.Response(status, headers=_plain(headers), content=body)
            pieces = transport.Pieces(call)
        except _dspex.TransportFailure as failure:
            raise _translate(httpx, failure, request) from None
        status, headers = pieces.head
        stream = _sync_stream(httpx, pieces, request)
        return httpx.Response(status, headers=_plain(headers), stream=stream)

    async def handle_async_request(self: Any, request: Any) -> Any:
        if not _is_ours(request):
            return await async_original(self, request)
        call = _call(request, await request.aread())
        stream = call.wants_stream()
        pieces = transport.AsyncPieces(call, stream)
        try:
            status, headers, chunk, _, _ = await pieces.next()
        except _dspex.TransportFailure as failure:
            raise _translate(httpx, failure, request) from None
        except BaseException:
            pieces.drop()
            raise
        if not stream:
            return httpx.Response(status or 200, headers=_plain(headers or []), content=chunk)
        body = _async_stream(httpx, pieces, chunk, request)
        return httpx.Response(status or 200, headers=_plain(headers or []), stream=body)

    handle_request._dspex = True  # type: ignore[attr-defined]
    httpx.HTTPTransport.handle_request = handle_request
    httpx.AsyncHTTPTransport.handle_async_request = handle_async_request


def _is_ours(request: Any) -> bool:
    active = transport.active_id()
    return trace.lm_call(active) is not None or request.url.host in MANAGED_HOSTS


def _call(request: Any, body: bytes) -> transport.LmRequest:
    timeout = (request.extensions.get("timeout") or {}).get("read")
    skip = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}
    headers = [(k, v) for k, v in request.headers.multi_items() if k.lower() not in skip]
    return transport.request(request.method, str(request.url), headers, body, timeout)


def _plain(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers of a body that was decoded already."""
    skip = {"content-encoding", "content-length", "transfer-encoding"}
    return [(k, v) for k, v in headers if k.lower() not in skip]


def _translate(httpx: Any, failure: Any, request: Any) -> BaseException:
    kinds = {
        "connect": httpx.ConnectError,
        "timeout": httpx.ReadTimeout,
        "read": httpx.ReadError,
        "protocol": httpx.RemoteProtocolError,
    }
    return kinds.get(failure.kind, httpx.ReadError)(str(failure.message), request=request)


def _sync_stream(httpx: Any, pieces: Any, request: Any) -> Any:
    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            try:
                yield from pieces
            except _dspex.TransportFailure as failure:
                raise _translate(httpx, failure, request) from None

        def close(self) -> None:
            pieces.drop()

    return Body()


def _async_stream(httpx: Any, pieces: Any, first: bytes, request: Any) -> Any:
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            try:
                async for chunk in pieces.rest(first):
                    yield chunk
            except _dspex.TransportFailure as failure:
                raise _translate(httpx, failure, request) from None

        async def aclose(self) -> None:
            pieces.drop()

    return Body()
