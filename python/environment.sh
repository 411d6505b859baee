#!/usr/bin/env bash
# Makes the Python environment in python/.venv that the worker is built and run
# with: finds an interpreter that can be embedded, installs what is missing,
# and does nothing, quickly, when nothing is missing.
#
#   python/environment.sh            what `make setup` runs
#   python/environment.sh sandbox    only fetch Pyodide again, for sandboxed interpreters
#   python/environment.sh check EXE  say whether EXE can be embedded (used by `make worker`)
#
# PYTHON=/path/to/python3.X chooses the interpreter. It need not be on PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv
pyodide=npm:pyodide@0.29.4
say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# One line about an interpreter: "ok VERSION EXECUTABLE" or "no VERSION EXECUTABLE REASON".
# The executable is the real one: neither a pyenv shim nor a virtual environment's link.
describe() {
  "$1" - 2>/dev/null <<'PY' || echo "no ? $1 it does not start"
import importlib.util
import os
import sys
import sysconfig

exe = getattr(sys, "_base_executable", None) or sys.executable
version = "%d.%d" % sys.version_info[:2]
var = sysconfig.get_config_var
multiarch = var("MULTIARCH") or ""
libdirs = [var("LIBDIR") or "", os.path.join(var("LIBDIR") or "", multiarch), os.path.join(sys.base_prefix, "lib")]
library = var("LDLIBRARY") or ""
reason = ""
if not (3, 10) <= sys.version_info[:2] < (3, 15):
    reason = "its version is not one of 3.10 to 3.14"
elif sys.implementation.name != "cpython":
    reason = "it is not CPython"
elif not var("Py_ENABLE_SHARED"):
    reason = "it was built without a shared libpython"
elif not os.path.exists(os.path.join(var("INCLUDEPY") or "", "Python.h")):
    reason = "its headers (Python.h) are not installed"
elif not any(os.path.exists(os.path.join(d, library)) for d in libdirs):
    reason = "its shared library (%s) is not installed" % library
elif not importlib.util.find_spec("ensurepip"):
    reason = "its venv module is not installed"
print("no" if reason else "ok", version, exe, reason)
PY
}

# The package manager's words for what `describe` found missing.
debian_packages() {
  case ${1:-} in
    /usr/bin/python3.*) echo "python$2-dev python$2-venv" ;;
    *) echo "python3-dev python3-venv" ;;
  esac
}

install_packages() {
  local packages=$1
  if [ "$(id -u)" != 0 ]; then
    fail "Python's headers, shared library or venv are missing. Type: sudo apt-get install -y $packages"
  fi
  say "installing $packages"
  # Word splitting is meant: several packages.
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null 2>&1 || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
  } || fail "apt-get could not install: $packages"
}

# Prints the interpreter to use; installs Debian packages when that is what is missing.
find_python() {
  local candidate verdict version exe reason reasons="" mendable="" mendable_version=""
  local -a candidates=(python3 python3.13 python3.12 python3.11 python3.10 python3.14 /usr/bin/python3)
  if [ -n "${PYTHON:-}" ]; then
    candidates=("$PYTHON")
    command -v "$PYTHON" >/dev/null 2>&1 || reasons=$'\n'"  $PYTHON: there is no such program"
  fi
  for candidate in "${candidates[@]}"; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    read -r verdict version exe reason < <(describe "$candidate") || continue
    if [ "$verdict" = ok ]; then echo "$exe"; return; fi
    [ "$version" = "?" ] && [ -z "${PYTHON:-}" ] || reasons+=$'\n'"  $exe ($version): $reason"
    case $exe in /usr/bin/python3*)
      case $reason in *installed) mendable=${mendable:-$exe}; mendable_version=${mendable_version:-$version} ;; esac ;;
    esac
  done
  if command -v apt-get >/dev/null && { [ -n "$mendable" ] || [ -z "${PYTHON:-}" ]; } && [ -z "${1:-}" ]; then
    mendable=$(readlink -f "${mendable:-/usr/bin/python3}" || true)
    install_packages "$(debian_packages "$mendable" "$mendable_version")" >&2
    find_python again
    return
  fi
  fail "no Python that can be embedded was found.${reasons}
  Install CPython 3.10 to 3.14 with its headers and shared library (Debian: python3-dev python3-venv;
  pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared), or name one: make setup PYTHON=/path/to/python3"
}

locks_digest() { cat "$here/requirements.lock" "$here/requirements-dev.lock" | sha256sum | cut -d' ' -f1; }

# What the environment was made from; equal means there is nothing to do.
is_current() {
  local digest="" base="" header=""
  [ -f "$venv/made-from" ] || return 1
  { read -r digest; read -r base; read -r header; } <"$venv/made-from" || return 1
  [ "$digest" = "$(locks_digest)" ] && [ -f "$header" ] && [ -x "$base" ] && "$venv/bin/python" -c '' 2>/dev/null || return 1
  [ -z "${PYTHON:-}" ] || [ "$(describe "$PYTHON" | cut -d' ' -f3)" = "$base" ]
}

make_environment() {
  local base digest
  base=$(find_python)
  digest=$(locks_digest)
  # An environment of another interpreter, or of one that is gone, is made anew.
  if ! [ "$("$venv/bin/python" -c 'import sys; print(sys._base_executable)' 2>/dev/null)" = "$base" ]; then
    say "making python/.venv with $base"
    rm -rf "$venv"
    "$base" -m venv "$venv"
  fi
  rm -f "$venv/made-from"
  say "installing Python packages from python/requirements.lock (about 500 MB, once)"
  "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --require-hashes \
    -r "$here/requirements.lock" -r "$here/requirements-dev.lock" ||
    fail "pip could not install the packages. Check the network, then type: make setup"
  "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("INCLUDEPY") + "/Python.h")' >"$venv/header"
  printf '%s\n%s\n%s\n' "$digest" "$base" "$(cat "$venv/header")" >"$venv/made-from"
  rm -f "$venv/header"
}

# DSPy's sandboxed interpreter runs Pyodide in Deno. Without it everything else works.
fetch_sandbox() {
  say "fetching Pyodide for sandboxed interpreters"
  if DENO_TLS_CA_STORE=${DENO_TLS_CA_STORE:-system,mozilla} DENO_DIR=$venv/deno timeout 300 "$venv/bin/deno" cache --quiet --no-config --no-lock "$pyodide" 2>"$venv/deno.log"; then
    echo "$pyodide" >"$venv/sandbox-tried"
    # A sandbox starts ten times as quickly from its memory as it is after a start.
    (cd "$here" && DENO_DIR=$venv/deno PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m dspex_worker.sandbox.deno >/dev/null 2>>"$venv/deno.log") ||
      say "no snapshot of Pyodide could be made; the first sandbox will start slowly"
  else
    echo failed >"$venv/sandbox-tried"
    say "Pyodide could not be fetched; only sandboxed interpreters need it. Type 'make sandbox' to try again. ($(tail -n1 "$venv/deno.log"))"
  fi
}

case ${1:-} in
  check)
    read -r verdict version exe reason < <(describe "$2")
    [ "$verdict" = ok ] || fail "$exe ($version) cannot be embedded: $reason"
    echo "$version" "$exe"
    ;;
  sandbox) fetch_sandbox ;;
  "")
    command -v cc >/dev/null || command -v gcc >/dev/null || fail "no C compiler to link with. Type: sudo apt-get install -y gcc libc6-dev"
    if is_current; then say "nothing to do"; else make_environment; fi
    [ -f "$venv/sandbox-tried" ] || fetch_sandbox
    ;;
  *) fail "unknown word '$1': use no word, 'sandbox' or 'check EXE'" ;;
esac
