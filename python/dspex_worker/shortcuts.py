"""Work that DSPy does anew for each LM call, done once.

A declared provider makes every router build and search its table of providers
again; formatting builds a pydantic adapter for each plain value. The answers
are the same: what they depend on is the key they are kept under.
"""

from __future__ import annotations

from typing import Any

_MOST = 64
_PLAIN = frozenset({str, int, float, bool, list, dict, tuple, type(None)})


def install() -> list[str]:
    """Put the shortcuts in place; answers which ones fit this DSPy."""
    done = {"routing": _routing, "adapters": _adapters}
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
