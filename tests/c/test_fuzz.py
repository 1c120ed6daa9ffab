"""Decoders and scans under the sanitizers (address, undefined behaviour): damaged input is a value, not a read out of bounds.

Each program says at its beginning what must hold for any input (fuzz_frames.c, fuzz_executions.c, fuzz_events.c).
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIME_MAX_S = 600  # A hang, not a speed.
FLAGS = ["-std=gnu11", "-g", "-O1", "-UNDEBUG", "-Wall", "-Wextra", "-Werror"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
NO_SANITIZERS = ("cannot find", "lasan", "lubsan", "unrecognized")  # what a compiler without them says


class Program(NamedTuple):
    """What it is made of, and how many inputs take it a few seconds."""

    sources: tuple[str, ...]
    inputs: int


PROGRAMS = {
    "fuzz_frames": Program(("scan", "frames", "levels", "book", "intake"), 300_000),
    "fuzz_executions": Program(("scan", "frames", "executions"), 300_000),
    "fuzz_events": Program(("events", "bybit", "hyperliquid"), 20_000),
}


class Fuzzer(NamedTuple):
    """One program, compiled."""

    binary: Path
    inputs: int

    def run(self, inputs: int, seed: int) -> None:
        environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
        command = [str(self.binary), str(inputs), str(seed)]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIME_MAX_S, env=environment)
        assert run.returncode == 0, f"seed {seed}: {run.stderr[-2000:]}"
        assert run.stdout.startswith(f"{inputs} inputs")


@pytest.fixture(scope="module", params=PROGRAMS)
def fuzzer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fuzzer:
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: apt install gcc")
    name = str(request.param)
    binary = tmp_path_factory.mktemp("fuzz") / name
    sources = [str(HERE / f"{name}.c"), *(str(ROOT / "cffi_build/src" / f"{part}.c") for part in PROGRAMS[name].sources)]
    command = [compiler, *FLAGS, *SANITIZE, f"-I{ROOT / 'cffi_build/include'}", *sources, "-lm", "-o", str(binary)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode and any(words in made.stderr for words in NO_SANITIZERS):
        pytest.skip("this compiler has no sanitizers")
    assert made.returncode == 0, made.stderr
    return Fuzzer(binary, PROGRAMS[name].inputs)


def test_damaged_input_is_never_read_past_its_end(fuzzer: Fuzzer) -> None:
    fuzzer.run(fuzzer.inputs, int(os.environ.get("CRYPTO_TRADE_SEED", "1")))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 6))
def test_much_damaged_input_is_never_read_past_its_end(fuzzer: Fuzzer, seed: int) -> None:
    fuzzer.run(8 * fuzzer.inputs, seed)
