"""Compiles our C into two extension modules: shm._native (memory) and reactor._native (arithmetic on it).

`setup.py` names the two builders below; `python cffi_build/build.py` compiles them in place while developing. A new .so
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

HERE = Path(__file__).resolve().parent
INCLUDE = HERE / "include"
SOURCE = HERE / "src"
ROOT = HERE.parent

MEMORY_PARTS = ("ring", "pool", "seqlock", "wake", "clock", "histogram", "topic")
ARITHMETIC_PARTS = (
    "messages", "levels", "book", "window", "scan", "frames", "intake", "events", "weave", "fuse", "audit", "factors",
    "sampling", "market_link", "live_bot", "websocket", "executions", "requests",
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


shm_builder = _builder("shm._native", MEMORY_PARTS)
reactor_builder = _builder("reactor._native", ARITHMETIC_PARTS, PRIVATE_PARTS)


def build_in_place() -> None:
    """Compiles both modules and puts them beside their Python faces by rename."""
    os.chdir(ROOT)
    memory = _builder("shm._native", MEMORY_PARTS, root=ROOT)
    for builder in (memory, _builder("reactor._native", ARITHMETIC_PARTS, PRIVATE_PARTS, ROOT)):
        with tempfile.TemporaryDirectory(dir=ROOT, prefix=".build-") as scratch:
            built = Path(builder.compile(tmpdir=scratch, verbose="-v" in sys.argv))
            package = built.relative_to(scratch).parts[0]
            os.replace(built, ROOT / package / "_native.abi3.so")  # The name that an install gives it, so that none shadows it.


if __name__ == "__main__":
    build_in_place()
