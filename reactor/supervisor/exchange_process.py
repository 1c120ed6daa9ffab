"""The simulated exchange as a child of the session: its settings, its start, and what it has to say.

    settings file ──▶ python -m reactor.sim ──ready fd──▶ ports
                              └───────────────log fd────▶ log lines; warnings stand in the report too

The child writes JSON lines into a pipe that we read at every tick; a pipe that nobody reads never stops it.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reactor.config.secrets import SIMULATED_KEY
from reactor.config.system import SimulatedParameters
from reactor.domain.errors import ConfigError
from reactor.loop.log import Level
from reactor.supervisor.log_file import LogFile
from reactor.supervisor.processes import Processes

NAME = "sim"
START_TIME_S = 30.0
POLL_S = 0.02
READ_BYTES = 65_536  # A whole pipe.
NOTICES_MAX = 20  # In the report; the log has all.


class ExchangeProcess:
    """One simulated exchange, started once; a market that restarts would be another market."""

    def __init__(self, processes: Processes, directory: Path, log: LogFile) -> None:
        self.notices: list[str] = []  # warnings, for the report
        self._processes = processes
        self._directory = directory
        self._log = log
        self._log_fd = -1
        self._rest = b""

    async def start(
        self, parameters: SimulatedParameters, environment: Mapping[str, str], symbols: Mapping[str, Sequence[str]]
    ) -> int:
        """Starts it and waits until it listens. Returns its spot port; USD-M listens on the next one.

        Raises:
            ConfigError: it did not get that far; the sentence is its own.
        """
        path = self._directory / "sim.json"
        path.write_text(json.dumps(sim_settings(parameters, symbols)))
        ready_fd, ready_end = os.pipe()
        self._log_fd, log_end = os.pipe()
        self._processes.spawn(
            NAME,
            ["-m", "reactor.sim", str(path), str(ready_end), str(log_end)],
            pass_fds=[ready_end, log_end],
            environment=environment,
            close_after=[ready_end, log_end],
        )
        os.set_blocking(ready_fd, False)
        os.set_blocking(self._log_fd, False)
        deadline = time.monotonic() + START_TIME_S
        line = b""
        try:
            while not line.endswith(b"\n"):
                await asyncio.sleep(POLL_S)
                self.drain()
                for name, _ in self._processes.reap():
                    raise ConfigError(self._processes.last_words(name) or "the simulated exchange ended at once")
                if time.monotonic() > deadline:
                    raise ConfigError(
                        f"the simulated exchange did not get ready within {START_TIME_S:.0f} s; see {self._log.path}"
                    )
                with contextlib.suppress(BlockingIOError):
                    line += os.read(ready_fd, 64)
        finally:
            os.close(ready_fd)
        return int(line.split()[0])

    def drain(self) -> None:
        """Moves what it has said into our log."""
        if self._log_fd < 0:
            return
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self._log_fd, READ_BYTES)
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            level = Level[record.pop("level").upper()]
        except (ValueError, KeyError, AttributeError):
            return  # The end of a line whose beginning did not fit the pipe.
        for name in ("time", "role"):
            record.pop(name, None)
        self._log.write(time.time_ns(), level, NAME, record, record.pop("suppressed", 0))
        notice = f"simulated exchange: {record.get('text', '')}"
        if level >= Level.WARNING and len(self.notices) < NOTICES_MAX and notice not in self.notices:
            self.notices.append(notice)

    def close(self) -> None:
        """Reads its last words; call it when the process has left."""
        self.drain()
        if self._log_fd >= 0:
            os.close(self._log_fd)
            self._log_fd = -1


def sim_settings(parameters: SimulatedParameters, symbols: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What the child `python -m reactor.sim` reads. `symbols`, by venue, are what a live market is followed for."""
    settings: dict[str, Any] = {
        "port": parameters.port,
        "speed": parameters.speed,
        "generator": {"seed": parameters.seed, **parameters.generator},
        "funding": parameters.funding,
        "accounts": [
            {
                "api_key": SIMULATED_KEY.api_key,
                "hmac_secret": SIMULATED_KEY.secret,
                "spot_balances": parameters.spot_balances,
                "futures_usdt": parameters.futures_usdt,
            },
            {"name": "second", "api_key": "test-key-2", "hmac_secret": "test-secret-2"},
        ],
    }
    if parameters.source == "live":
        spot, usdm = (list(symbols.get(venue, ())) for venue in ("binance_spot", "binance_usdm"))
        settings["live"] = {"spot": spot, "usdm": usdm, "base_url": parameters.live_url}
    if parameters.source == "replay":
        settings["replay"] = list(parameters.replay_paths)
    if parameters.faults:
        settings["faults"] = parameters.faults
    if not parameters.has_limits:
        settings["face"] = {"lifted_limits": ["REQUEST_WEIGHT", "RAW_REQUESTS", "ORDERS", "CONNECTIONS", "MESSAGES"]}
    if parameters.keys_file:
        settings["keys_file"] = parameters.keys_file
    return settings
