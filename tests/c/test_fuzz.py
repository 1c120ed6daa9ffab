"""The decoders under AddressSanitizer and UndefinedBehaviorSanitizer, on damaged frames (fuzz_frames.c, fuzz_executions.c)."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "fuzz_frames": ["scan", "frames", "levels", "book", "intake"],
    "fuzz_executions": ["scan", "frames", "executions"],
}
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.fixture(scope="module", params=SOURCES)
def fuzzer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: apt install gcc")
    name = str(request.param)
    target = tmp_path_factory.mktemp("fuzz") / name
    sources = [str(ROOT / "cffi_build/src" / f"{part}.c") for part in SOURCES[name]]
    command = [compiler, "-g", "-O1", "-std=c11", "-Wall", "-Wextra", f"-I{ROOT / 'cffi_build/include'}"]
    command += [*SANITIZE, str(ROOT / "tests/c" / f"{name}.c"), *sources, "-o", str(target)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode and ("lasan" in made.stderr or "lubsan" in made.stderr or "unrecognized" in made.stderr):
        pytest.skip("this compiler has no sanitizers")
    assert made.returncode == 0, made.stderr
    return target


def fuzz(fuzzer: Path, inputs: int, seed: int) -> None:
    run = subprocess.run([str(fuzzer), str(inputs), str(seed)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"seed {seed}: {run.stderr[-2000:]}"
    assert run.stdout.startswith(f"{inputs} inputs")


def test_damaged_frames_are_never_read_past_their_end(fuzzer: Path) -> None:
    fuzz(fuzzer, 300_000, 1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 6))
def test_ten_million_damaged_frames_are_never_read_past_their_end(fuzzer: Path, seed: int) -> None:
    fuzz(fuzzer, 2_500_000, seed)
