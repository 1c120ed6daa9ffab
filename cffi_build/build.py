"""Compiles our C into extension modules: shm._native (memory), shm._lanes (its calls per message), reactor._native.

`setup.py` names the builders below; `python cffi_build/build.py` compiles them in place while developing. A new .so
replaces the old one by rename, so a running process keeps the file that it has mapped.

What Python may see of a header stands between `/* cffi: begin */` and `/* cffi: end */`; everything else in it is for the
C compiler alone.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

from cffi import FFI
from setuptools import Distribution, Extension

HERE = Path(__file__).resolve().parent
INCLUDE = HERE / "include"
SOURCE = HERE / "src"
ROOT = HERE.parent

MEMORY_PARTS = ("ring", "pool", "seqlock", "wake", "clock", "histogram", "topic")
ARITHMETIC_PARTS = (
    "messages", "levels", "book", "window", "scan", "frames", "intake", "signals", "events", "bybit", "hyperliquid", "weave",
    "fuse", "audit", "factors", "sampling", "market_link", "live_bot", "websocket", "executions", "hmac", "requests",
    "scheduler",
)  # fmt: skip
# Sources of shm._native that C of ours calls without the interpreter: compiled in a second time, invisible from outside.
PRIVATE_PARTS = ("ring", "seqlock", "wake", "clock")

# -UNDEBUG: assertions stay on in production. No -march=native: a wheel may travel.
COMPILE_ARGS = ["-O3", "-std=c11", "-UNDEBUG", "-Wall", "-Wextra", "-Wno-unused-function", "-fvisibility=hidden"]

_VISIBLE = re.compile(r"/\* cffi: begin \*/(.*?)/\* cffi: end \*/", re.DOTALL)


def visible_part(header: Path) -> str:
    """The declarations of `header` that Python may see.

    Raises:
        ValueError: the header has no cffi markers.
    """
    parts = _VISIBLE.findall(header.read_text())
    if not parts:
        raise ValueError(f"{header}: no '/* cffi: begin */ … /* cffi: end */' markers; add them around the declarations")
    return "\n".join(parts)


def _builder(module: str, parts: tuple[str, ...], private: tuple[str, ...] = (), root: Path = Path()) -> FFI:
    """One extension module; paths are relative to the project (setuptools asks for that) unless `root` is given. `private`
    parts are linked and not shown to Python."""
    present = [part for part in parts if (INCLUDE / f"{part}.h").exists()]
    builder = FFI()
    for part in present:
        builder.cdef(visible_part(INCLUDE / f"{part}.h"))
    sources = [SOURCE / f"{part}.c" for part in (*present, *private) if (SOURCE / f"{part}.c").exists()]
    builder.set_source(
        module,
        "\n".join(f'#include "{part}.h"' for part in present),
        sources=[str(root / source.relative_to(ROOT)) for source in sources],
        include_dirs=[str(root / INCLUDE.relative_to(ROOT))],
        depends=[str(root / header.relative_to(ROOT)) for header in sorted(INCLUDE.glob("*.h"))],
        extra_compile_args=COMPILE_ARGS,
    )
    return builder


def lanes(root: Path = Path()) -> Extension:
    """shm._lanes, which is written against Python's own interface: see lanes.c."""
    return Extension(
        "shm._lanes",
        sources=[str(root / (SOURCE / f"{part}.c").relative_to(ROOT)) for part in ("lanes", "ring", "wake", "seqlock")],
        include_dirs=[str(root / INCLUDE.relative_to(ROOT))],
        depends=[str(root / (INCLUDE / f"{part}.h").relative_to(ROOT)) for part in ("ring", "wake", "seqlock")],
        extra_compile_args=COMPILE_ARGS,
        py_limited_api=True,
    )


shm_builder = _builder("shm._native", MEMORY_PARTS)
reactor_builder = _builder("reactor._native", ARITHMETIC_PARTS, PRIVATE_PARTS)


def build_in_place() -> None:
    """Compiles all of them and puts them beside their Python faces by rename."""
    os.chdir(ROOT)
    memory = _builder("shm._native", MEMORY_PARTS, root=ROOT)
    with tempfile.TemporaryDirectory(dir=ROOT, prefix=".build-") as scratch:
        made = [
            Path(builder.compile(tmpdir=f"{scratch}/{place}", verbose="-v" in sys.argv))
            for place, builder in enumerate((memory, _builder("reactor._native", ARITHMETIC_PARTS, PRIVATE_PARTS, ROOT)))
        ]
        command = Distribution({"ext_modules": [lanes(ROOT)]}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = f"{scratch}/lanes", f"{scratch}/temp"
        command.ensure_finalized()
        command.run()
        made += [Path(path) for path in command.get_outputs()]
        for path in made:  # Together at the end: they share layouts.
            name = path.name.split(".")[0]
            os.replace(path, ROOT / path.parent.name / f"{name}.abi3.so")  # As an install names it, so that none shadows it.


if __name__ == "__main__":
    build_in_place()
