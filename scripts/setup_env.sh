#!/usr/bin/env bash
# Set-up shared by quickstart.sh and test.sh: makes .venv and installs mxmp into it, editable.
#
#   bash scripts/setup_env.sh [EXTRA ...]     extras of setup.py besides MXNet itself: test, docs
#
# Environment:
#   MXMP_EXTRA=cu112      MXNet for CUDA 11.2 (default: cpu)
#   MXMP_PYTHON=COMMAND   make .venv with this Python (default: uv with 3.11 where uv is installed, else the
#                         first of python3.11 ... python3.8, python3 and python that is 3.8 to 3.11)
#
# What is installed already is skipped. pip and uv keep their own configuration (indexes, proxies, caches).
set -euo pipefail

CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

say() { printf 'mxmp: %s\n' "$*"; }
fail() { printf 'mxmp: %s\n' "$*" >&2; exit 1; }

# Prints ok, or why a Python cannot be used. Any Python can run it, even 2.7. gluonnlp's build needs Python.h.
PROBE='
import os, sys
if not (3, 8) <= sys.version_info[:2] <= (3, 11):
    print("is %d.%d" % sys.version_info[:2])
else:
    import sysconfig
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    print("ok" if os.path.exists(header) else "has no header Python.h")
'

# Sets `python`. Each candidate is run: a version manager leaves shims in PATH that only print an error.
find_python() {
    local name verdict seen=''
    if [ -n "${MXMP_PYTHON:-}" ]; then
        set -- "$MXMP_PYTHON"
    else
        set -- python3.11 python3.10 python3.9 python3.8 python3 python
    fi
    for name in "$@"; do
        verdict=$("$name" -c "$PROBE" 2>/dev/null) || continue
        if [ "$verdict" = ok ]; then
            if "$name" -c 'import ensurepip, venv' 2>/dev/null; then python=$name; return; fi
            verdict='has no venv module'
        fi
        seen="$seen${seen:+, }$name $verdict"
    done
    fail "no usable Python${MXMP_PYTHON:+ in MXMP_PYTHON}${seen:+ ($seen)}: install Python 3.8 to 3.11 with" \
        "its venv module and headers (Debian, Ubuntu: python3.11 python3.11-venv python3.11-dev)," \
        "or uv, which brings its own"
}

# gluonnlp 0.10.0 is published as source only, with one C extension. The preprocessor run sees a compiler
# that is only a stub, and one without the C library's headers.
find_compiler() {
    local name
    if [ -z "${CC:-}" ]; then set -- gcc cc clang; else set -- "$CC"; fi
    for name in "$@"; do
        # shellcheck disable=SC2086  # CC may hold options
        if $name -E -x c - <<<'#include <stdio.h>' >/dev/null 2>&1; then export CC=$name; return; fi
    done
    fail "no C compiler${CC:+ in CC ($CC)}, which building gluonnlp needs: install gcc or clang" \
        '(Debian, Ubuntu: apt-get install build-essential)'
}

have_gluonnlp() {
    .venv/bin/python -c 'import sys, importlib.util as u; sys.exit(not u.find_spec("gluonnlp"))' 2>/dev/null
}

# .venv-unfinished stands while .venv is being made, so that a half-made one is never taken for a whole one.
make_venv() {
    find_compiler
    : >.venv-unfinished
    rm -rf .venv
    make_venv_by_uv || make_venv_by_python
    rm .venv-unfinished
}

make_venv_by_uv() {
    if [ -n "${MXMP_PYTHON:-}" ] || ! command -v uv >/dev/null; then return 1; fi
    say 'creating .venv with uv and Python 3.11 ...'
    uv venv --quiet --python 3.11 --seed .venv && return
    say 'uv could not make it (see above): looking for a Python without uv'
    return 1
}

make_venv_by_python() {
    find_python
    say "creating .venv with $("$python" --version) ..."
    "$python" -m venv --clear .venv || fail "$python -m venv failed (see above)"
}

check_venv() {
    local verdict
    verdict=$(.venv/bin/python -c "$PROBE")
    if [ "$verdict" != ok ]; then
        fail "the Python of .venv $verdict: mxmp needs Python 3.8 to 3.11 with its headers" \
            "(Debian, Ubuntu: apt-get install python3-dev); remove .venv to have it made anew"
    fi
    find_compiler
}

# uv fills a .venv that uv made. One command installs it all, or numpy < 1.24 would not hold.
install() {
    say "installing mxmp[$1] into .venv (a minute or two) ..."
    if grep -qs '^uv' .venv/pyvenv.cfg && command -v uv >/dev/null; then
        uv pip install --quiet --python .venv/bin/python --editable ".[$1]"
    else
        # Older pips cannot install a pyproject.toml project in place, or build without `wheel`.
        pip install 'pip>=23.1' && pip install --editable ".[$1]"
    fi || fail 'the installation failed (see above); the next run tries again'
}

pip() { .venv/bin/python -m pip --quiet --quiet --disable-pip-version-check "$@"; }

# The wheel of MXNet expects some shared libraries from the system.
check_mxnet() {
    local error hint=''
    error=$(.venv/bin/python -c 'import mxnet' 2>&1 >/dev/null) && return
    error=${error##*$'\n'} # the last line of the traceback
    case $error in
        *libgomp* | *libquadmath*) hint=' (Debian, Ubuntu: apt-get install libgomp1 libquadmath0)' ;;
        *libcu* | *libnv* | *libnccl*) hint=' (needs the NVIDIA driver and CUDA 11.2 with cuDNN and NCCL)' ;;
    esac
    fail "MXNet is installed but does not load: $error$hint"
}

# --- what is wanted -------------------------------------------------------------------------------------
device=${MXMP_EXTRA:-cpu}
case $device in
    cpu) other_device=cu112 other_package=mxnet-cu112 ;;
    cu112) other_device=cpu other_package=mxnet ;;
    *) fail "MXMP_EXTRA is '$device': it must be cpu or cu112" ;;
esac
for extra in "$@"; do
    case $extra in test | docs) ;; *) fail "no extra '$extra': there are test and docs" ;; esac
done

# --- what is missing: .venv holds a stamp for each extra, with what it was installed for ----------------
if [ -e .venv-unfinished ] || [ ! -e .venv ]; then make_venv; fi
.venv/bin/python -c 'import pip' 2>/dev/null || fail '.venv has no Python with pip: remove it, then try again'
key="$PWD $(.venv/bin/python --version) $(cksum <setup.py)"
missing=''
for extra in "$device" "$@"; do
    [ "$(cat ".venv/mxmp-$extra.stamp" 2>/dev/null)" = "$key" ] || missing="$missing${missing:+,}$extra"
done
if [ -z "$missing" ]; then
    say '.venv is up to date'
    exit
fi

# --- install it -----------------------------------------------------------------------------------------
have_gluonnlp || check_venv
if [ -e ".venv/mxmp-$other_device.stamp" ]; then
    say "removing $other_package ..."
    pip uninstall --yes "$other_package"
    rm ".venv/mxmp-$other_device.stamp"
fi
install "$missing"
check_mxnet
for extra in ${missing//,/ }; do
    printf '%s\n' "$key" >".venv/mxmp-$extra.stamp"
done
say '.venv is ready'
