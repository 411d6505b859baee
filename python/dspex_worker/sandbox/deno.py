"""The command that starts a sandbox: Deno, Pyodide, DSPy's runner, our limits.

DSPy's runner asks for two modules of other hosts. An import map puts files of
ours in their place, so that it starts without a network, and so that limits hold
inside. Owns the snapshot from which a sandbox starts in half a second; starts no
sandbox itself. Run as a program it makes the snapshot (`make setup` does).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

_GUEST = Path(__file__).parent / "guest"
_FLAGS = ("--no-config", "--no-lock", "--node-modules-dir=false", "--no-prompt")
# Nothing is fetched: what is not in the cache is not there.
_OFFLINE = ("--cached-only", "--no-remote")
_VERSION = re.compile(r"npm:pyodide@([\w.]+)")
_SNAPSHOT_SECONDS = 120


class Unavailable(Exception):
    """No sandbox can be started here; the message says what to do."""


@dataclass(frozen=True)
class Runtime:
    """Where the parts of a sandbox are."""

    deno: str
    cache: Path
    runner: Path
    pyodide: str
    import_map: str

    @property
    def version(self) -> str:
        """Pyodide's version."""
        found = _VERSION.search(self.pyodide)
        return found.group(1) if found else "unknown"


@functools.lru_cache(maxsize=8)
def _runtime(deno: str, cache: str, runner: str) -> Runtime:
    asked = re.findall(r'from\s+"((?:npm|https):[^"]+)"', Path(runner).read_text(encoding="utf-8"))
    pyodide = next((name for name in asked if "pyodide" in name), None)
    lines = next((name for name in asked if name.startswith("https:")), None)
    if pyodide is None or lines is None:
        raise Unavailable("this DSPy starts its sandbox in a way the workbench does not know")
    imports = {
        "pyodide": pyodide,
        pyodide: (_GUEST / "pyodide.js").as_uri(),
        lines: (_GUEST / "lines.js").as_uri(),
    }
    text = quote(json.dumps({"imports": imports}))
    return Runtime(deno, Path(cache), Path(runner), pyodide, f"data:application/json,{text}")


def runtime() -> Runtime:
    """What is installed; `Unavailable` where something is missing."""
    deno = find_deno()
    if deno is None:
        raise Unavailable("there is no Deno: install it with `%pip install deno`")
    spec = importlib.util.find_spec("dspy")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    runner = Path(folders[0] if folders else "", "primitives", "runner.js")
    if not runner.is_file():
        raise Unavailable("this DSPy has no sandbox")
    found = _runtime(deno, str(_cache(deno)), str(runner))
    if not _has_pyodide(found):
        raise Unavailable(
            f"Pyodide {found.version} was not fetched: type `make sandbox`, or "
            f"`DENO_DIR={found.cache} {deno} cache {found.pyodide}`"
        )
    return found


def is_there() -> bool:
    """Whether a sandbox can be started."""
    try:
        return bool(runtime().deno)
    except Unavailable:
        return False


def find_deno() -> str | None:
    """Deno of its Python package, else the one on PATH."""
    try:
        from deno import find_deno_bin
    except ImportError:
        return shutil.which("deno")
    try:
        return str(find_deno_bin())
    except FileNotFoundError:
        return shutil.which("deno")


@functools.lru_cache(maxsize=8)
def _cache(deno: str) -> Path:
    """`DENO_DIR`, else the environment's own, else Deno's."""
    own = Path(sys.prefix, "deno")
    if os.environ.get("DENO_DIR"):
        return Path(os.environ["DENO_DIR"]).resolve()
    if (own / "npm").is_dir():
        return own.resolve()
    try:
        told = subprocess.run(
            [deno, "info", "--json"], capture_output=True, text=True, check=True, timeout=10
        )
        return Path(json.loads(told.stdout)["denoDir"]).resolve()
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return own


def _has_pyodide(found: Runtime) -> bool:
    # Deno files packages under the host of their registry, whichever it is.
    return any(found.cache.glob(f"npm/*/pyodide/{found.version}/pyodide.js"))


def command(found: Runtime, folder: Path, more: dict[str, list[str]] | None = None) -> list[str]:
    """The command line of a sandbox whose working folder is `folder`.

    `more` are permissions that were asked for explicitly: `read`, `write`, `env`, `net`.
    """
    more = more or {}
    guards = _GUEST / "guards.py"
    kept = snapshot(found)
    read = [
        found.runner,
        found.cache,
        folder,
        guards,
        *([kept] if kept else []),
        *more.get("read", ()),
    ]
    write = [folder, *more.get("write", ())]
    words = [
        *(found.deno, "run", *_FLAGS, *_OFFLINE),
        f"--import-map={found.import_map}",
        # The code's memory has a limit of its own; this is the rest.
        "--v8-flags=--max-old-space-size=256",
        f"--allow-read={_paths(read)}",
        f"--allow-write={_paths(write)}",
    ]
    if more.get("net"):
        words.append(f"--allow-net={','.join(more['net'])}")
    if more.get("env"):
        words.append(f"--allow-env={','.join(more['env'])}")
    words += [
        str(found.runner.resolve()),
        ",".join(more.get("env", ())),
        f"--dspy-deno-dir={found.cache}",
        f"--dspex-folder={folder}",
        f"--dspex-guards={guards}",
    ]
    if kept:
        words.append(f"--dspex-snapshot={kept}")
    return words


def _paths(paths: list[Any]) -> str:
    return ",".join(os.path.realpath(path) for path in paths)


def environment(found: Runtime, names: Iterable[str] = ()) -> dict[str, str]:
    """The environment of a sandbox: nothing of the user's but what is named."""
    kept = {name: os.environ[name] for name in ("HOME", *names) if name in os.environ}
    own = {"DENO_NO_PACKAGE_JSON": "1", "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    return kept | own | {"DENO_DIR": str(found.cache)}


def snapshot(found: Runtime, *, make: bool = True) -> Path | None:
    """The snapshot of this Pyodide; made where it is missing (some seconds, once)."""
    digest = hashlib.sha256((_GUEST / "guards.py").read_bytes()).hexdigest()[:12]
    name = f"pyodide-{found.version}-{digest}.snapshot"
    for folder in _snapshot_folders(found):
        if (folder / name).is_file():
            # The age of a snapshot is told by when it was last used.
            with contextlib.suppress(OSError):
                os.utime(folder / name)
            return folder / name
    for folder in _snapshot_folders(found) if make else ():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return _make_snapshot(found, folder / name)
        except (OSError, subprocess.SubprocessError):
            continue
    return None


def forget_snapshot(found: Runtime) -> None:
    """Remove a snapshot that does not start."""
    kept = snapshot(found, make=False)
    if kept is not None:
        kept.unlink(missing_ok=True)


def _snapshot_folders(found: Runtime) -> list[Path]:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [found.cache / "dspex", Path(cache, "dspex-tui")]


def _make_snapshot(found: Runtime, path: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="new-") as folder:
        fresh, guards = Path(folder, "snapshot").resolve(), _GUEST / "guards.py"
        words = [
            *(found.deno, "run", *_FLAGS, *_OFFLINE, f"--import-map={found.import_map}"),
            f"--allow-read={_paths([found.cache, guards])}",
            f"--allow-write={fresh}",
            *(str(_GUEST / "snapshot.js"), str(fresh), str(guards)),
        ]
        subprocess.run(
            words,
            env=environment(found),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_SNAPSHOT_SECONDS,
        )
        fresh.replace(path)
    return path


if __name__ == "__main__":
    try:
        print(snapshot(runtime()) or sys.exit("the snapshot could not be written"))
    except Unavailable as error:
        sys.exit(str(error))
