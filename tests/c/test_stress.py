"""The C kernels of shared memory under the sanitizers: real threads, as hard as they can, with deaths and successors."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIME_MAX_S = 60  # A hang, not a speed: the programs take well under a second.

SANITIZERS = {
    "threads": ["-fsanitize=thread"],
    "addresses and undefined behaviour": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
}
PROGRAMS = {"ring": ("ring", "wake"), "seqlock": ("seqlock", "histogram")}


@pytest.mark.processes
@pytest.mark.parametrize("sanitizer", SANITIZERS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_kernel_survives_two_threads_under_the_sanitizer(program: str, sanitizer: str, tmp_path: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: `apt install gcc`")
    binary = tmp_path / program
    sources = [str(ROOT / "cffi_build" / "src" / f"{part}.c") for part in PROGRAMS[program]]
    flags = ["-std=gnu11", "-g", "-O1", "-UNDEBUG", "-Wall", "-Wextra", "-Werror", *SANITIZERS[sanitizer]]
    include = f"-I{ROOT / 'cffi_build' / 'include'}"
    command = [compiler, *flags, include, str(HERE / f"{program}.c"), *sources, "-pthread", "-o", str(binary)]
    build = subprocess.run(command, capture_output=True, text=True)
    if build.returncode and "cannot find" in build.stderr:
        pytest.skip(f"the compiler has no library for this sanitizer: {build.stderr.strip().splitlines()[0]}")
    assert build.returncode == 0, build.stderr
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "TSAN_OPTIONS": "halt_on_error=1"}
    run = subprocess.run([str(binary), "200000"], capture_output=True, text=True, timeout=TIME_MAX_S, env=environment)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
