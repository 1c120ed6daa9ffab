#!/bin/sh
# Is everything there that a build needs? If not: the one line that installs it, and stop.
# usage: deploy/check_tools.sh [python3]
python=${1:-python3}
missing=""

command -v gcc >/dev/null 2>&1 || missing="$missing gcc"
command -v make >/dev/null 2>&1 || missing="$missing make"
if ! command -v "$python" >/dev/null 2>&1; then
    missing="$missing python3 (>= 3.11)"
else
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "crypto_trade needs Python 3.11 or newer; $python is $("$python" --version 2>&1)." >&2
        echo "On Debian 12 or newer: sudo apt install python3   (or: make PYTHON=/path/to/python3.11)" >&2
        exit 1
    fi
    # Debian splits both off: venv works only with ensurepip, a C extension only with Python.h and libc's headers.
    "$python" -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
    "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
        2>/dev/null || missing="$missing python3-dev"
fi
if command -v gcc >/dev/null 2>&1 && ! echo '#include <stdint.h>
#include <stdlib.h>
int main(void) { return 0; }' | gcc -x c - -o /dev/null 2>/dev/null; then
    missing="$missing libc6-dev"
fi

if [ -n "$missing" ]; then
    echo "missing:$missing" >&2
    echo "install what a build needs with this one line, then run make again:" >&2
    echo "  sudo apt install gcc make python3-venv python3-dev" >&2
    exit 1
fi
