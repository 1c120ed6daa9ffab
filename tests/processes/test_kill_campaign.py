"""Random kill -9 of random roles, many times, while it trades: afterwards our books equal the exchange's every time.

make kills                      200 kills, the last line says what became of them (30 minutes on a quiet host)
make kills KILLS=20 SEED=7      fewer; the same victims and pauses again

After every KILLS_PER_SESSION kills the session is stopped in order. Then are compared, to the last unit: every position, every
balance (futures: the wallet, which is what was paid in, every profit, fee and funding payment), and every fill one by one with
the venue's own list of trades: side, price, quantity, fee and realised profit.
"""

import json
import os
import random
import signal
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from reactor.domain.instrument import VENUE_NAMES
from reactor.domain.units import parse_e8
from reactor.journal.history import Reader
from reactor.journal.schema import journal_path

pytestmark = [pytest.mark.processes, pytest.mark.long]

KILLS = int(os.environ.get("KILLS", "200"))
KILLS_PER_SESSION = 10  # Then it is stopped in order and the books are compared.
ROLES = ("journal", "engine", "prepost", "collector", "feed-0")
RECOVERY_S_MAX = 180.0  # Generous: two cores may have other work, and the exchange that answers is one of the processes.
SYMBOL = "BTCUSDT"

Trade = tuple[str, int, int, int, str, int]  # side, price, quantity, fee, fee asset, realised profit (1e-8)


@dataclass
class Campaign:
    """What became of it, over all sessions."""

    victims: Tally[str] = field(default_factory=Tally)
    sessions: int = 0
    equal: int = 0
    orders: int = 0
    fills: int = 0
    began_s: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """The summary."""
        roles = ", ".join(f"{name} {count}" for name, count in sorted(self.victims.items()))
        return (
            f"{self.victims.total()} kills ({roles}) in {self.sessions} sessions, {time.monotonic() - self.began_s:.0f} s;"
            f" {self.orders} orders, {self.fills} fills; positions, balances, fills and PnL equal the exchange's to the last"
            f" unit in {self.equal} of {self.sessions}"
        )


@pytest.fixture(scope="module")
def campaign(pytestconfig: pytest.Config) -> Iterator[Campaign]:
    tally = Campaign()
    yield tally
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n" + tally.line())


def are_ready(house) -> bool:
    """The supervisor's last word about every role is that it is ready."""
    last = {}
    for line in house.log().splitlines(keepends=True):
        row = json.loads(line) if line.endswith("\n") else {"text": ""}  # The last one may still be being written.
        if row["text"] in ("role died", "role is ready"):
            last[row["name"]] = row["text"]
    return all(last.get(role) == "role is ready" for role in ROLES)


def wait_until_whole(house, victims: set[int]) -> None:
    """Every role runs again under another pid, is ready, and the house trades or says why not."""
    deadline = time.monotonic() + RECOVERY_S_MAX
    while True:
        pids = house.pids()
        state = house.status("is_reconciled")
        if set(ROLES) <= pids.keys() and not victims & set(pids.values()) and state and are_ready(house):
            return
        assert house.process.poll() is None, house.words()
        assert time.monotonic() < deadline, f"not whole again: {pids}, reconciled {state}\n{house.log()[-3000:]}"
        time.sleep(0.05)


def trades_there(house) -> dict[tuple[str, int], Trade]:
    """The account's trades, as the exchange lists them."""
    found = {}
    for venue, rows in enumerate(house.exchange.trades(SYMBOL, house.prefix)):
        for row in rows:
            side = "buy" if row.get("isBuyer", row.get("buyer")) else "sell"
            found[VENUE_NAMES[venue], row["id"]] = (
                side,
                parse_e8(row["price"]),
                parse_e8(row["qty"]),
                parse_e8(row["commission"]),
                row["commissionAsset"],
                parse_e8(row.get("realizedPnl", "0")),
            )
    return found


def trades_here(house) -> dict[tuple[str, int], Trade]:
    """The fills in our journal."""
    found = {}
    with Reader(journal_path(house.directory / "runs", house.name)) as reader:
        for row in reader.rows("SELECT * FROM fills"):
            key = row["venue"], row["trade_id"]
            assert key not in found, f"{key} was booked twice"
            realised_e8 = row["realised_pnl_e8"] if row["venue"] == "binance_usdm" else 0  # On spot it is ours alone.
            found[key] = (
                row["side"],
                parse_e8(row["price"]),
                abs(parse_e8(row["quantity"])),
                row["fee_e8"],
                row["fee_asset"],
                realised_e8,
            )
    return found


@pytest.mark.parametrize("session", range(-(-KILLS // KILLS_PER_SESSION)))
def test_after_random_kills_books_fills_and_pnl_equal_the_exchanges(
    make_house: Callable, monkeypatch: pytest.MonkeyPatch, campaign: Campaign, session: int
):
    seed = int(os.environ.get("SEED") or "0") + session if os.environ.get("SEED") else random.randrange(1 << 30)
    print(f"SEED={seed}")
    choice = random.Random(seed)
    monkeypatch.setenv("CRYPTO_TRADE__SYSTEM__RESTART__DEATHS_MAX", "1000")
    house = make_house()
    house.wait_until_trading()
    campaign.sessions += 1
    left = min(KILLS_PER_SESSION, KILLS - session * KILLS_PER_SESSION)
    killed: set[int] = set()
    while left:
        time.sleep(choice.uniform(0.0, 1.5))
        role = choice.choice(ROLES)
        victim = house.pids().get(role)
        if victim is None:
            continue
        print(f"{time.strftime('%H:%M:%S')} kill -9 {role} {victim}")
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
        campaign.victims[role] += 1
        left -= 1
        if choice.random() < 0.7:  # Otherwise the next one dies while this one recovers.
            wait_until_whole(house, killed)
            killed.clear()
    wait_until_whole(house, killed)  # The last one too: whoever stops a house without an engine learns of its fills tomorrow.
    time.sleep(1.0)
    assert house.end() == 0, house.words()
    report = house.report()
    assert house.exchange.open_orders(house.prefix).ours == []
    assert report["open_orders"] == 0, report["problems"]
    assert report["positions_and_balances_equal"] is True, report["comparisons"]
    here, there = trades_here(house), trades_there(house)
    assert here == there, {key: (here.get(key), there.get(key)) for key in here | there if here.get(key) != there.get(key)}
    house.assert_nobody_is_left()
    campaign.equal += 1
    campaign.fills += len(there)
    with Reader(journal_path(house.directory / "runs", house.name)) as reader:
        campaign.orders += next(reader.rows("SELECT count(DISTINCT order_id) AS orders FROM order_entries"))["orders"]
