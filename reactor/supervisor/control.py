"""The owner's way to speak to a running instance: a unix socket in its run directory, one JSON line each way.

    → {"command": "stop", "flatten": false}
    ← {"ok": true, "text": "…", "data": {…}}

Only the owner of the run directory (mode 0700) can connect; the socket itself is 0600.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from reactor.domain.errors import TradeError
from reactor.supervisor.instance import instances, run_directory

REQUEST_SIZE_MAX = 64 * 1024
ANSWER_TIME_S = 60.0  # `stop` answers when the stop has ended.

Answer = dict[str, Any]  # JSON object
Handler = Callable[[dict[str, Any]], Awaitable[Answer]]


class ControlServer:
    """Listens while the supervisor lives."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Starts to listen. A socket that a killed predecessor left is replaced: we hold the instance's lock."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=REQUEST_SIZE_MAX)
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stops listening; answers under way are given first."""
        if self._server is not None:
            self._server.close()
        if self._busy:
            await asyncio.wait(self._busy, timeout=1.0)
        with contextlib.suppress(OSError):
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served by a task"
        self._busy.add(task)
        try:
            answer = await self._answer(await reader.readline())
            writer.write(json.dumps(answer, default=str).encode() + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            pass  # The caller went away.
        finally:
            self._busy.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("not an object")
        except ValueError:
            return {"ok": False, "text": "the request is not a JSON object"}
        try:
            return await self._handler(request)
        except TradeError as error:
            return {"ok": False, "text": str(error)}


def find_instance(name: str | None) -> str:
    """The instance that a command means: the named one, or the only one that runs.

    Raises:
        TradeError: none runs, or several do and none was named.
    """
    if name is not None:
        return name
    running = instances()
    if len(running) == 1:
        return running[0]
    if not running:
        raise TradeError("no instance is running on this host. Start one with `crypto-trade run`.")
    raise TradeError(f"several instances are running: {', '.join(running)}. Say which: --instance NAME")


def ask(instance: str, request: dict[str, Any], timeout_s: float = ANSWER_TIME_S) -> Answer:
    """Sends one request and waits for its answer. Blocks: for the command line.

    Raises:
        TradeError: nobody listens there, or the answer did not come in time.
    """
    path = run_directory(instance) / "control"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                chunk = connection.recv(65536)
                if not chunk:
                    break
                data += chunk
        except (FileNotFoundError, ConnectionRefusedError):
            raise TradeError(f"instance {instance!r} is not running on this host (nothing listens at {path})") from None
        except TimeoutError:
            raise TradeError(f"instance {instance!r} did not answer within {timeout_s:.0f} s; look at its log") from None
        except OSError as error:
            raise TradeError(f"instance {instance!r}: {error.strerror or error}") from None
    if not data:
        raise TradeError(f"instance {instance!r} ended before it answered")
    answer = json.loads(data)
    assert isinstance(answer, dict), "the control socket answers with an object"
    return answer
