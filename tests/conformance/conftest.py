"""The simulated exchange as a process of its own, for clients that other people wrote."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READY_S_MAX = 30.0

PROGRAM = """
import os, sys
from reactor.sim.generator import GeneratorParameters
from reactor.sim.parameters import SimParameters
from reactor.sim.server import run_server
run_server(SimParameters(port=0, generator=GeneratorParameters(density=0.3)), ready_fd=int(sys.argv[1]))
"""


@dataclass(frozen=True)
class Exchange:
    """Where it listens, and a key that works on both venues."""

    spot_port: int
    usdm_port: int
    host: str = "127.0.0.1"
    key: str = "test-key"
    secret: str = "test-secret"

    @property
    def spot(self) -> str:
        return f"{self.host}:{self.spot_port}"

    @property
    def usdm(self) -> str:
        return f"{self.host}:{self.usdm_port}"


@pytest.fixture(scope="session")
def exchange() -> Iterator[Exchange]:
    """Started once; the interpreter may be named in CRYPTO_TRADE_PYTHON when the clients live in another environment."""
    reader, writer = os.pipe()
    python = os.environ.get("CRYPTO_TRADE_PYTHON", sys.executable)
    process = subprocess.Popen([python, "-c", PROGRAM, str(writer)], pass_fds=(writer,), cwd=ROOT)
    os.close(writer)
    try:
        with os.fdopen(reader) as ready:
            line = ready.readline()  # An exchange that cannot start closes the pipe, and the line is empty.
        assert line, "the simulated exchange did not start"
        spot_port, usdm_port = map(int, line.split())
        yield Exchange(spot_port, usdm_port)
    finally:
        process.terminate()
        process.wait(timeout=READY_S_MAX)
    assert process.returncode == 0, "the simulated exchange stops cleanly"
