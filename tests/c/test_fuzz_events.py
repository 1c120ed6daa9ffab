"""The scans of captures and CSV files under the sanitizers: damaged input is a value, never an access out of bounds."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIME_MAX_S = 120  # A hang, not a speed.
FLAGS = ["-std=gnu11", "-g", "-O1", "-UNDEBUG", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]


@pytest.mark.processes
def test_no_input_makes_the_scans_leave_their_bounds(tmp_path: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: `apt install gcc`")
    binary = tmp_path / "fuzz_events"
    parts = [str(ROOT / "cffi_build" / "src" / f"{part}.c") for part in ("events", "bybit", "hyperliquid")]
    include = f"-I{ROOT / 'cffi_build' / 'include'}"
    sources = [str(HERE / "fuzz_events.c"), *parts, "-lm"]
    command = [compiler, *FLAGS, "-fno-sanitize-recover=all", include, *sources, "-o", str(binary)]
    build = subprocess.run(command, capture_output=True, text=True, check=False)
    if build.returncode and "cannot find" in build.stderr:
        pytest.skip(f"the compiler has no library for this sanitizer: {build.stderr.strip().splitlines()[0]}")
    assert build.returncode == 0, build.stderr
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
    seed = str(os.environ.get("CRYPTO_TRADE_SEED", 1))
    run = subprocess.run([str(binary), "20000", seed], capture_output=True, text=True, timeout=TIME_MAX_S, env=environment)
    assert run.returncode == 0, f"seed {seed}\n{run.stdout}\n{run.stderr}"
