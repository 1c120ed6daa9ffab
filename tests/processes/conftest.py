"""A whole house of real processes against a simulated exchange that outlives it, in a run directory of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import aiohttp
import psutil
import pytest

from reactor.config.secrets import SIMULATED_KEY
from reactor.domain.ids import ClientIds
from reactor.exchanges.binance.rules import endpoints_at
from reactor.supervisor.cancel_all import Confirmation, confirm
from reactor.supervisor.venue_desk import VenueDesk

PYTHON = sys.executable
PATIENCE_S = 120.0  # Generous: two cores may have other work.

TRADE_PATHS = ("/api/v3/myTrades", "/fapi/v1/userTrades")

# A lively session: orders that rest, all the time.
LIVELY = """
exchanges:
  binance:
    simulated: {base_url: "http://127.0.0.1:%d"}
risk_control: {cooldown_s: 0.3}
strategy:
  pairs:
    - {open: "binance_spot:BTCUSDT", hedge: "binance_usdm:BTCUSDT"}
  pair_terms: {opens_as_maker: true, maker_ttl_ms: 3000}
  signals:
    adaptive_spread: {window_samples: 100, samples_min: 5}
    position_close: {age_s_max: 2.0}
  triggers:
    mt: {percentile_min: 0.2, spread_min: -0.01, funding_rate_min: 0.00001, rearm_after_ms: 200}
system:
  order_id_prefix: "%s"
  directory: "%s"
  duration_s: 0
  %s
"""


def wait_for(condition: Callable[[], object], what: str, time_s: float = PATIENCE_S) -> object:
    """The first true answer of `condition`."""
    deadline = time.monotonic() + time_s
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {time_s} s: {what}")


class Exchange:
    """The simulated exchange as somebody who is not in the house sees it."""

    def __init__(self, directory: Path) -> None:
        settings = {"port": 0, "generator": {"density": 0.3}, "funding": {"interval_s": 30}}
        path = directory / "sim.json"
        path.write_text(json.dumps(settings))
        read_fd, write_fd = os.pipe()
        self.process = subprocess.Popen([PYTHON, "-m", "reactor.sim", str(path), str(write_fd)], pass_fds=[write_fd])
        os.close(write_fd)
        with os.fdopen(read_fd) as pipe:
            self.port = int(pipe.readline().split()[0])

    def _ask(self, question: Callable[[list[VenueDesk]], object], prefix: str) -> object:
        async def ask() -> object:
            async with aiohttp.ClientSession() as http:
                ids = ClientIds(prefix)
                ports = (self.port, self.port + 1)
                endpoints = [endpoints_at(venue, f"http://127.0.0.1:{port}") for venue, port in enumerate(ports)]
                return await question([VenueDesk(http, each, SIMULATED_KEY, ids) for each in endpoints])

        return asyncio.run(ask())

    def open_orders(self, prefix: str) -> Confirmation:
        """What the exchange says, now."""
        return self._ask(confirm, prefix)

    def trades(self, symbol: str, prefix: str) -> list[list[dict[str, object]]]:
        """Every trade of the account in that symbol, by venue: the rows as the exchange answers them."""

        async def ask(desks: list[VenueDesk]) -> list[list[dict[str, object]]]:
            return [await everything(desk, path) for desk, path in zip(desks, TRADE_PATHS, strict=True)]

        async def everything(desk: VenueDesk, path: str) -> list[dict[str, object]]:
            rows: list[dict[str, object]] = []
            while page := await desk._signed("GET", path, {"symbol": symbol, "limit": 1000, "fromId": next_id(rows)}):
                rows += page
            return rows

        def next_id(rows: list[dict[str, object]]) -> int:
            return int(str(rows[-1]["id"])) + 1 if rows else 0

        return self._ask(ask, prefix)

    def place_foreign(self) -> None:
        """An order of somebody else on the same account, far from the market."""

        async def place(desks: list[VenueDesk]) -> None:
            parameters = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}
            parameters |= {"price": "50000.00", "newClientOrderId": "somebody-else"}
            await desks[0]._signed("POST", "/api/v3/order", parameters)

        self._ask(place, "ct")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)


class House:
    """One `crypto-trade run` with its children."""

    def __init__(
        self,
        directory: Path,
        exchange: Exchange,
        name: str,
        prefix: str,
        extra: str = "",
        key: str = "",
        config: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`extra`: lines of the section system; `config`: a whole config instead of the lively one."""
        self.directory = directory
        self.exchange = exchange
        self.name = f"{name}-{os.getpid()}"  # Shared memory is the host's: another test run may have a house of this name.
        self.prefix = prefix
        self.config = directory / f"{self.name}.yaml"
        self.config.write_text(config or LIVELY % (exchange.port, prefix, directory / "runs", extra))
        self.report_path = directory / f"{self.name}.json"
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(directory)}
        self.environment["CRYPTO_TRADE__SYSTEM__PLACEMENT__LAYOUT"] = "processes"  # On any host: each role dies alone.
        self.environment |= environment or {}
        if key:
            secret = key.replace("key", "secret")
            self.environment |= {"CRYPTO_TRADE_BINANCE_API_KEY": key, "CRYPTO_TRADE_BINANCE_SECRET": secret}
        self.output = open(directory / f"{self.name}.out", "ab")  # noqa: SIM115 -- closed by close()
        self.process = self._start()
        self.seen: set[int] = set()

    def _start(self) -> "subprocess.Popen[bytes]":
        arguments = ["run", "--config", str(self.config), "--instance", self.name, "--report", str(self.report_path)]
        return subprocess.Popen(
            [PYTHON, "-m", "reactor", *arguments], stdout=self.output, stderr=self.output, env=self.environment
        )

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`crypto-trade <arguments>` for this instance."""
        return subprocess.run(
            [PYTHON, "-m", "reactor", *arguments], capture_output=True, text=True, env=self.environment, timeout=90, check=False
        )

    def pids(self) -> dict[str, int]:
        """Role (shard) → pid, as the supervisor noted them."""
        with contextlib.suppress(OSError, ValueError):
            rows = json.loads((self.directory / "crypto_trade" / self.name / "pids").read_text())
            found = {name: pid for name, pid, _ in rows}
            self.seen.update(found.values())
            return found
        return {}

    def log(self) -> str:
        """Everything it said."""
        path = self.directory / "runs" / self.name / "log.jsonl"
        return path.read_text() if path.exists() else ""

    def said(self, text: str, times: int = 1) -> bool:
        """The log has this sentence so many times."""
        return self.log().count(f'"text": "{text}"') >= times

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Waits for a condition while the house lives."""
        wait_for(lambda: condition() or self.process.poll() is not None, what)
        assert self.process.poll() is None, self.words()

    def wait_until_trading(self, times: int = 1, processes: int = 5) -> None:
        """Every role is ready and orders have gone out."""
        wait_for(lambda: self.said("all roles are ready", times) or self.process.poll() is not None, "all roles are ready")
        assert self.process.poll() is None, self.words()
        wait_for(lambda: len(self.pids()) >= processes, "all processes are noted")
        wait_for(lambda: self.status("orders"), "an order went out")

    def status(self, field: str) -> int:
        """One figure of the risk row; 0 while nobody answers."""
        done = self.command("status", "--instance", self.name, "--json")
        with contextlib.suppress(ValueError, KeyError):
            return int(json.loads(done.stdout)["risk"][field])
        return 0

    def words(self) -> str:
        """For the failure message."""
        self.output.flush()
        return (self.directory / f"{self.name}.out").read_text()[-3000:]

    def report(self) -> dict[str, object]:
        """The report file."""
        return json.loads(self.report_path.read_text())

    def end(self, how: int = signal.SIGTERM) -> int:
        """Asks it to stop and waits. The exit code."""
        self.pids()
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)

    def assert_nobody_is_left(self) -> None:
        """No process, no zombie."""
        for pid in self.seen:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if "reactor.wiring" in " ".join(process.cmdline()) or process.status() == psutil.STATUS_ZOMBIE:
                    wait_for(lambda p=process: not p.is_running() or p.status() == psutil.STATUS_DEAD, f"{process} is gone")

    def close(self) -> None:
        if self.process.poll() is None:
            self.pids()
            self.process.kill()
            self.process.wait(PATIENCE_S)
        for pid in self.seen:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if "reactor." in " ".join(process.cmdline()) and process.pid != self.exchange.process.pid:
                    process.kill()
        self.output.close()


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    made = Exchange(tmp_path)
    yield made
    made.close()


@pytest.fixture
def make_house(tmp_path: Path, exchange: Exchange) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(
        name: str = "first",
        prefix: str = "ct",
        extra: str = "",
        key: str = "",
        config: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> House:
        houses.append(House(tmp_path, exchange, name, prefix, extra, key, config, environment))
        return houses[-1]

    yield make
    for house in houses:
        house.close()
