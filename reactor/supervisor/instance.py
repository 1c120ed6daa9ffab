"""One instance on a host: its name, its run directory, its lock, and what a dead predecessor left behind.

<run dir>/lock         held (flock) while the supervisor lives: two instances of one name exclude each other
          control      owner-only unix socket (control.py)
          plan         what the roles are built from, mode 0600 (wiring.py)
          pids         who belongs to this instance, for the successor of a supervisor that was killed
          <role>.err   stderr of a role
"""

import contextlib
import fcntl
import json
import os
import stat
import time
from pathlib import Path

import psutil

from reactor.domain.errors import ConfigError

RUN_ROOT_NAME = "crypto_trade"
SOCKET_PATH_MAX = 100  # A unix socket's path ends at 107 bytes.
LEFTOVER_TIME_S = 6.0  # Orphans end in order within 5 s by themselves; then they are killed.


def run_root() -> Path:
    """$XDG_RUNTIME_DIR/crypto_trade, or /tmp/crypto_trade-<uid>: owner only either way.

    Raises:
        ConfigError: somebody else owns that place.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    root = (
        Path(runtime) / RUN_ROOT_NAME
        if runtime and os.access(runtime, os.W_OK)
        else Path(f"/tmp/{RUN_ROOT_NAME}-{os.getuid()}")
    )
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = root.lstat()
    except OSError as error:
        raise ConfigError(f"{root}: {error.strerror}. Set XDG_RUNTIME_DIR.") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ConfigError(f"{root}: not a directory of this user. Remove it, or set XDG_RUNTIME_DIR.")
    if status.st_mode & 0o077:
        root.chmod(0o700)
    return root


def run_directory(instance: str) -> Path:
    """Where the instance keeps its socket and its plan; not made here."""
    return run_root() / instance


class Instance:
    """Holds the name while it lives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = run_directory(name)
        self._lock_fd = -1

    def acquire(self) -> None:
        """Makes the run directory and takes the lock.

        Raises:
            ConfigError: the name is taken, or the directory cannot be used.
        """
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            self._lock_fd = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{self.directory}: {error.strerror}; make it writable or choose another --instance") from None
        if len(str(self.directory / "control")) > SOCKET_PATH_MAX:
            raise ConfigError(f"{self.directory}: too long a path for a control socket; set XDG_RUNTIME_DIR to a shorter one")
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = (os.pread(self._lock_fd, 64, 0).decode("ascii", "replace").split() or ["unknown"])[0]
            os.close(self._lock_fd)
            self._lock_fd = -1
            raise ConfigError(
                f"instance {self.name!r} is running already (pid {holder}). "
                f"Stop it with `crypto-trade stop --instance {self.name}`, or choose another name: --instance NAME"
            ) from None
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, str(os.getpid()).encode(), 0)

    def end_leftovers(self) -> list[str]:
        """Waits for processes of a killed predecessor to end in order, then kills them. Returns what it had to do."""
        path = self.directory / "pids"
        try:
            rows = json.loads(path.read_text())
        except (OSError, ValueError):
            return []
        alive: list[tuple[str, psutil.Process]] = []
        for name, pid, created in rows:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if abs(process.create_time() - created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE:
                    alive.append((name, process))
        if not alive:
            return []
        _, still = psutil.wait_procs([process for _, process in alive], timeout=LEFTOVER_TIME_S)
        for process in still:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(still, timeout=2.0)
        return [f"{name} (pid {process.pid}) {'killed' if process in still else 'ended by itself'}" for name, process in alive]

    def note_pids(self, rows: list[tuple[str, int, float]]) -> None:
        """Writes who belongs to this instance: (role, pid, create time)."""
        scratch = self.directory / "pids.new"
        scratch.write_text(json.dumps(rows))
        scratch.replace(self.directory / "pids")

    def leave_code(self, code: int) -> None:
        """Notes the exit code for who waits for our end (`crypto-trade stop`)."""
        os.pwrite(self._lock_fd, f"{os.getpid()} exit {code}".encode(), 0)

    def release(self) -> None:
        """Gives the name back. The lock file stays (removing it would race with the next start), as does what roles said."""
        if self._lock_fd < 0:
            return
        for path in self.directory.iterdir():
            with contextlib.suppress(OSError):
                if path.name != "lock" and (path.suffix != ".err" or path.stat().st_size == 0):
                    path.unlink()
        os.close(self._lock_fd)
        self._lock_fd = -1


def instances() -> list[str]:
    """Names with a control socket on this host, of this user."""
    root = run_root()
    return sorted(path.name for path in root.iterdir() if (path / "control").exists())


def wait_for_end(name: str, time_s: float) -> int | None:
    """Waits until an instance has given its name back. Its exit code; None: it still holds the name.

    The code is what the supervisor wrote into the lock file on its way out (Instance.leave_code).
    """
    path = run_directory(name) / "lock"
    deadline = time.monotonic() + time_s
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            words = os.pread(fd, 64, 0).decode("ascii", "replace").split()
            return int(words[2]) if len(words) == 3 and words[1] == "exit" else 1
        except OSError:
            if time.monotonic() > deadline:
                return None
        finally:
            os.close(fd)
        time.sleep(0.05)
