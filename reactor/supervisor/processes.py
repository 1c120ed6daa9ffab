"""Starts the processes of the house, reaps them, and leaves no zombie.

Children get their own process group, so that Ctrl-C in the terminal reaches the supervisor alone; their stderr goes into a
file of the run directory; the eventfds of the plan are inherited under the same numbers at every start.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

STDERR_SIZE_MAX = 1_000_000  # A role that dies in a circle must not fill the disk.
SAID_BYTES_MAX = 16_000
SENTENCE_MAX = 300


@dataclass
class Child:
    """One running process."""

    name: str
    process: subprocess.Popen[bytes]
    create_time: float
    is_killed_by_us: bool = False


@dataclass
class Processes:
    """All children by shard name."""

    directory: Path
    children: dict[str, Child] = field(default_factory=dict)
    said_before: dict[str, int] = field(default_factory=dict)  # bytes that predecessors have left in a role's .err file

    def spawn(
        self,
        name: str,
        arguments: Sequence[str],
        pass_fds: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        close_after: Sequence[int] = (),
    ) -> int:
        """Starts `python <arguments>`. `close_after`: our copies of descriptors that only the child needs. Returns the pid."""
        assert name not in self.children, f"{name} runs already"
        path = self.directory / f"{name}.err"
        mode = "wb" if path.exists() and path.stat().st_size > STDERR_SIZE_MAX else "ab"
        with open(path, mode) as stderr:
            self.said_before[name] = stderr.tell()
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=tuple(pass_fds),
                env=dict(environment) if environment is not None else None,
                process_group=0,
            )
        for fd in close_after:
            os.close(fd)
        self.children[name] = Child(name, process, _create_time(process.pid))
        return process.pid

    def reap(self) -> list[tuple[str, int]]:
        """(name, exit code) of everybody who has ended since the last call; a negative code is a signal's number."""
        ended = []
        for name, child in list(self.children.items()):
            code = child.process.poll()
            if code is not None:
                del self.children[name]
                ended.append((name, code))
        return ended

    def is_alive(self, name: str) -> bool:
        """Not ended, as of the last reap."""
        return name in self.children

    def pid(self, name: str) -> int:
        """0: not running."""
        child = self.children.get(name)
        return child.process.pid if child is not None else 0

    def terminate(self, name: str) -> None:
        """SIGTERM: leave in order."""
        self._signal(name, signal.SIGTERM)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self._signal(name, signal.SIGKILL)

    def _signal(self, name: str, number: signal.Signals) -> None:
        child = self.children.get(name)
        if child is not None and child.process.poll() is None:
            child.process.send_signal(number)

    def kill_all(self) -> None:
        """The last resort: nobody of ours outlives this call."""
        for name in list(self.children):
            self.kill(name)
        deadline = time.monotonic() + 2.0
        while self.children and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.01)

    def table(self) -> list[tuple[str, int, float]]:
        """(name, pid, create time) of everybody alive."""
        return [(child.name, child.process.pid, child.create_time) for child in self.children.values()]

    def said(self, name: str) -> str:
        """What the last process of this name has written to stderr; of much, the end."""
        try:
            raw = (self.directory / f"{name}.err").read_bytes()[self.said_before.get(name, 0) :]
        except OSError:
            return ""
        return raw[-SAID_BYTES_MAX:].decode("utf-8", "replace")

    def last_words(self, name: str) -> str:
        """One sentence: its last line. Of a traceback that is the exception."""
        lines = [line.strip() for line in self.said(name).splitlines() if line.strip()]
        return lines[-1][:SENTENCE_MAX] if lines else ""


def _create_time(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def environment_without(names: Sequence[str]) -> dict[str, str]:
    """Our environment without secrets: they travel to the engine through a descriptor, never through /proc/<pid>/environ."""
    return {key: value for key, value in os.environ.items() if key not in names and not key.startswith("CRYPTO_TRADE__")} | {
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",
    }
