"""Random kill -9 of random roles, many times, while it trades: afterwards our books equal the exchange's every time.

make test-long                                    200 kills
KILLS=20 pytest -m long tests/processes/test_kill_campaign.py
"""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.long]

KILLS = int(os.environ.get("KILLS", "200"))
KILLS_PER_SESSION = 10  # Then it is stopped in order and the books are compared.
ROLES = ("journal", "engine", "prepost", "collector", "feed-0")
RECOVERY_S_MAX = 30.0


def wait_until_whole(house, victims: set[int]) -> None:
    """Every role runs again under another pid and the house trades or says why not."""
    deadline = time.monotonic() + RECOVERY_S_MAX
    while True:
        pids = house.pids()
        state = house.status("is_reconciled")
        if set(ROLES) <= pids.keys() and not victims & set(pids.values()) and state:
            return
        assert house.process.poll() is None, house.words()
        assert time.monotonic() < deadline, f"not whole again: {pids}, reconciled {state}\n{house.log()[-3000:]}"
        time.sleep(0.05)


@pytest.mark.parametrize("session", range(max(1, KILLS // KILLS_PER_SESSION)))
def test_after_random_kills_books_fills_and_pnl_equal_the_exchanges(
    make_house: Callable, monkeypatch: pytest.MonkeyPatch, session: int
):
    seed = int(os.environ.get("SEED", "0")) or random.randrange(1 << 30)
    print(f"SEED={seed}")
    choice = random.Random(seed)
    monkeypatch.setenv("CRYPTO_TRADE__SYSTEM__RESTART__DEATHS_MAX", "1000")
    house = make_house()
    house.wait_until_trading()
    for _ in range(KILLS_PER_SESSION):
        time.sleep(choice.uniform(0.0, 1.5))
        role = choice.choice(ROLES)
        victim = house.pids().get(role)
        if victim is None:
            continue
        print(f"{time.strftime('%H:%M:%S')} kill -9 {role} {victim}")
        os.kill(victim, signal.SIGKILL)
        if choice.random() < 0.7:  # Otherwise the next one dies while this one recovers.
            wait_until_whole(house, {victim})
    wait_until_whole(house, set())
    time.sleep(1.0)
    assert house.end() == 0, house.words()
    report = house.report()
    assert house.exchange.open_orders(house.prefix).ours == []
    assert report["open_orders"] == 0, report["problems"]
    assert report["positions_and_balances_equal"] is True, report["comparisons"]
    house.assert_nobody_is_left()
