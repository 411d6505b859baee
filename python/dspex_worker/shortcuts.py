"""Work that DSPy does anew for each LM call, done once.

A declared provider makes every router build and search its table of providers
again; formatting builds a pydantic adapter for each plain value; each request is
built twice, once only to see whether it can be. The answers are the same: what
they depend on is the key they are kept under. And whoever runs many calls at a
time looks at all that are under way whenever one ends: here, at those that ended.
"""

from __future__ import annotations

import queue
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from typing import Any

_MOST = 64
_PLAIN = frozenset({str, int, float, bool, list, dict, tuple, type(None)})


def install() -> list[str]:
    """Put the shortcuts in place; answers which ones fit this DSPy."""
    done = {
        "routing": _routing,
        "adapters": _adapters,
        "planning": _planning,
        "selecting": _selecting,
        "waiting": _waiting,
        "counting": _counting,
    }
    return [name for name, put in done.items() if put()]


def _routing() -> bool:
    try:
        from dspy._vendor.lm15 import router as module

        router: Any = module
        table, bound_ids, check = router._table, router._bound_ids, router._check_provider_keyed
        kind, registry = router._Table, router.PROVIDERS
    except (ImportError, AttributeError):
        return False
    # The kept table and providers stay alive, so that their ids stay theirs.
    tables: dict[tuple[Any, ...], tuple[Any, Any, Any]] = {}
    bound: dict[int, tuple[Any, int, set[str]]] = {}

    def kept_table(adapters: Any, config: Any) -> Any:
        providers = config.providers
        if not providers:
            return adapters
        key = (id(adapters), len(registry), tuple(map(id, providers)))
        found = tables.get(key)
        if found is None:
            if len(tables) >= _MOST:
                tables.clear()
                bound.clear()
            found = tables[key] = (table(adapters, config), adapters, tuple(providers))
        return found[0]

    def kept_bound_ids(adapters: Any) -> set[str]:
        found = bound.get(id(adapters))
        if found is None or found[0] is not adapters or found[1] != len(registry):
            if len(bound) >= _MOST:
                bound.clear()
            found = bound[id(adapters)] = (adapters, len(registry), bound_ids(adapters))
        return found[2]

    def check_what_is_keyed(config: Any, adapters: Any) -> None:
        if config.api_keys or config.base_urls or config.settings or config.credentials:
            check(config, adapters)

    router._table = kept_table
    router._bound_ids = kept_bound_ids
    router._check_provider_keyed = check_what_is_keyed
    # `Mapping` would look for a key by catching the `KeyError` of not finding it.
    kind.__contains__ = lambda self, key: key in self._adapters
    return True


def _adapters() -> bool:
    try:
        from dspy.adapters import utils as module

        utils: Any = module
        original = utils.TypeAdapter
    except (ImportError, AttributeError):
        return False
    known: dict[Any, Any] = {}

    def adapter(kind: Any, *args: Any, **kwargs: Any) -> Any:
        # An annotation need not be hashable, and a user's class may be rebuilt:
        # only Python's own types are kept.
        if args or kwargs or type(kind) is not type or kind not in _PLAIN:
            return original(kind, *args, **kwargs)
        found = known.get(kind)
        if found is None:
            found = known[kind] = original(kind)
        return found

    utils.TypeAdapter = adapter
    return True


def _planning() -> bool:
    """Of requests that differ in their text only, the first is planned."""
    try:
        from dspy._vendor.lm15.types import TextPart
        from dspy.clients.engines import lm15_engine as module

        routing: Any = module._Routing
        original = routing.plan
    except (ImportError, AttributeError):
        return False

    def shape(request: Any) -> Any:
        """What a plan of plain text depends on; `None` where there is more than that."""
        if request.tools or not isinstance(request.system, (str, type(None))):
            return None
        said = []
        for message in request.messages:
            parts = message.parts
            if any(type(part) is not TextPart or part.continuation for part in parts):
                return None
            said.append((message.role, tuple(bool(part.text.strip()) for part in parts)))
        system = bool(request.system and request.system.strip())
        return (request.model, system, tuple(said), request.config)

    def plan(self: Any, request: Any) -> Any:
        try:
            key = shape(request)
            known = self.__dict__.setdefault("_plans", {})
            found = None if key is None or self._closed else known.get(key)
        except (AttributeError, TypeError):  # such as a configuration with a schema in it
            return original(self, request)
        if found is None:
            found = original(self, request)
            if key is not None:
                if len(known) >= _MOST:
                    known.clear()
                known[key] = found
        return found

    routing.plan = plan
    return True


def _selecting() -> bool:
    """The engine that only says where a model goes is made once."""
    try:
        from dspy._vendor.lm15.registry import PROVIDERS
        from dspy.clients import backend_selection as module

        selection: Any = module
        original = selection.LM15Engine
    except (ImportError, AttributeError):
        return False
    known: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def engine(config: Any = None, *, model_type: str = "chat") -> Any:
        if config is None or config.env != {}:
            return original(config, model_type=model_type)
        # The kept configuration keeps its providers alive, so that their ids stay theirs.
        key = (model_type, len(PROVIDERS), tuple(map(id, config.providers)))
        found = known.get(key)
        if found is None:
            if len(known) >= _MOST:
                known.clear()
            found = known[key] = (original(config, model_type=model_type), config)
        return found[0]

    selection.LM15Engine = engine
    return True


class _Threads(ThreadPoolExecutor):
    """Threads that tell which of their futures ended."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Any = super().submit(*args, **kwargs)
        future.ended = self._ended
        future.add_done_callback(self._ended.put)
        return future


def _waiting() -> bool:
    """`ParallelExecutor`, of `Evaluate` and all optimizers, looks at the futures that ended."""
    try:
        from dspy.utils import parallelizer as module

        parallelizer: Any = module
        original = parallelizer.wait
        if parallelizer.ThreadPoolExecutor is not ThreadPoolExecutor:
            return False
    except (ImportError, AttributeError):
        return False

    def wait(futures: set[Any], timeout: float | None = None, return_when: str = "") -> Any:
        ended = getattr(next(iter(futures), None), "ended", None)
        if ended is None or return_when != FIRST_COMPLETED:
            return original(futures, timeout, return_when)
        done: set[Any] = set()
        try:
            done.add(ended.get(timeout=timeout))
            while True:
                done.add(ended.get_nowait())
        except queue.Empty:
            done &= futures
        return done, futures - done

    parallelizer.ThreadPoolExecutor = _Threads
    parallelizer.wait = wait
    return True


def _counting() -> bool:
    """Its progress is counted on, not counted anew over all results for each of them."""
    try:
        from dspy.utils.parallelizer import ParallelExecutor

        executor: Any = ParallelExecutor
        process, report = executor._process_outcome, executor._report_progress
    except (ImportError, AttributeError):
        return False

    def process_outcome(self: Any, results: list[Any], index: int, outcome: Any) -> None:
        process(self, results, index, outcome)
        counted: Any = self.__dict__.get("_counted")
        if counted is None or counted[0] is not results:
            counted = self._counted = [results, 0, 0]
        if isinstance(outcome, Exception) or (self.compare_results and outcome is None):
            return
        counted[1] += 1
        if self.compare_results:
            counted[2] += outcome[-1]

    def report_progress(self: Any, bar: Any, results: list[Any], total: int) -> None:
        counted: Any = self.__dict__.get("_counted")
        if counted is None or counted[0] is not results:
            report(self, bar, results, total)
        elif self.compare_results:
            self._update_progress(bar, counted[2], counted[1])
        else:
            self._update_progress(bar, counted[1], total)

    executor._process_outcome, executor._report_progress = process_outcome, report_progress
    return True
