"""The native module of dspex-worker (`src/python/module.rs`), as Python sees it."""

from collections.abc import Callable, Iterator

worker: int
interactive: bool
version: str

class TransportFailure(Exception):
    kind: str
    message: str

class RunCancelled(BaseException): ...

def send(type: str, id: int, payload: bytes, /) -> None: ...
def send_pieces(type: str, id: int, pieces: Iterator[bytes], /) -> None: ...
def wait(lane: str, /) -> tuple[int, str, bytes, int | None, int | None] | None: ...
def cell_began(cell: int, run: int, /) -> None: ...
def cell_ended() -> None: ...
def span_start(
    id: str,
    parent: str | None,
    run: int | None,
    kind: str,
    name: str,
    inputs: bytes | None,
    /,
) -> None: ...
def span_end(id: str, outputs: bytes | None, error: str | None, /) -> None: ...
def is_cancelled(run: int, /) -> bool: ...
def lm_call(
    span: str | None,
    parent: str | None,
    run: int | None,
    cell: int | None,
    method: str,
    url: str,
    headers: list[tuple[str, str]],
    body: bytes,
    timeout: float | None,
    cache: bool,
    rollout_id: int | None,
    price: tuple[float, float] | None,
) -> tuple[int, list[tuple[str, str]], bytes]: ...
def lm_told(
    span: str | None,
    parent: str | None,
    run: int | None,
    cell: int | None,
    body: bytes,
    rollout_id: int | None,
    price: tuple[float, float] | None,
) -> None: ...
def lm_open(
    span: str | None,
    parent: str | None,
    run: int | None,
    cell: int | None,
    method: str,
    url: str,
    headers: list[tuple[str, str]],
    body: bytes,
    timeout: float | None,
    cache: bool,
    rollout_id: int | None,
    price: tuple[float, float] | None,
    stream: bool,
    callback: Callable[
        [int | None, list[tuple[str, str]] | None, bytes, bool, BaseException | None], None
    ],
) -> int: ...
def lm_drop(handle: int, /) -> None: ...
def request_approval(
    run: int | None, cell: int | None, tool: str, arguments: bytes, /
) -> tuple[bool, str]: ...
def read_input(cell: int, prompt: str, password: bool, /) -> str | None: ...
def count_json(value: object, depth: int, most: int, /) -> int: ...
def write_json(value: object, depth: int, most: int, /) -> bytes | None: ...
