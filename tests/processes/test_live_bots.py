"""hftbacktest's published strategies, unchanged, in processes of their own against a simulated exchange."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the extra `backtest` is not installed")
pytest.importorskip("hftbacktest", reason="the extra `backtest` is not installed")

from reactor.domain.errors import TradeError

pytestmark = [pytest.mark.processes, pytest.mark.long]

PAYLOADS = Path(__file__).resolve().parents[1] / "payloads" / "hftbacktest"
PATIENCE_S = 240.0  # Three compilations at once on a busy host.
SPOT, USDM = 0, 1

RISK = """
risk_control:
  daily_trades_max: 100000
  quotes_max: 60
  capital_usdt_max: 90000.0
  order_notional_usdt_max: 5000.0
  position_clips_max: 2000
  exposure_ratio_max: 0.9
  exposure_ratio_warning: 0.8
  order_rates_max: [90, 280, 280]
  daily_loss_usdt_max: 10000.0
"""
HEAD = """
exchanges:
  binance:
    simulated: {base_url: "http://127.0.0.1:%d"}
"""
TAIL = """
system:
  order_id_prefix: "%s"
  directory: "%s"
  duration_s: 0
"""
# As published; only what their callers pass is chosen here. The second one wants ten minutes of its own time before it quotes.
TUTORIALS = f"""
strategy:
  pairs: []
  live_bots:
    - name: grid
      file: {PAYLOADS}/grid_trading.py
      function: gridtrading
      instruments: ["binance_usdm:BTCUSDT"]
      parameters: {{half_spread: 8.0, grid_interval: 4.0, skew: 1.0, order_qty: 0.01}}
    - name: glft
      file: {PAYLOADS}/glft.py
      function: glft_market_maker
      instruments: ["binance_usdm:ETHUSDT"]
      clock_speed: 10.0
    - name: obi
      file: {PAYLOADS}/obi_mm.py
      function: obi_mm
      instruments: ["binance_spot:BTCUSDT"]
      roi: {{"binance_spot:BTCUSDT": [50000.0, 75000.0]}}
      parameters: {{half_spread: 10.0, skew: 1.0, c1: 5.0, looking_depth: 0.001, interval: 1000000000, window: 100,
                   order_qty_dollar: 100.0, max_position_dollar: 1000.0, grid_num: 3, grid_interval: 1.0,
                   roi_lb: 50000.0, roi_ub: 75000.0}}
"""
REPLACER = """
from numba import njit
from hftbacktest import GTX, LIMIT

@njit
def replacer(hbt):
    order_id = 7
    while hbt.elapse(50_000_000) == 0:
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        price = (depth.best_bid_tick - 500) * depth.tick_size
        order = hbt.orders(0).get(order_id)
        if order is None:
            if hbt.submit_buy_order(0, order_id, price, 0.01, GTX, LIMIT, True) == 1:
                break
        elif order.cancellable:
            if hbt.modify(0, order_id, price - 10 * depth.tick_size, 0.02, True) == 1:
                break
            hbt.wait_next_feed(True, 1_000_000_000)
"""


def replacer(directory: Path) -> str:
    return f"""
strategy:
  pairs: []
  live_bots:
    - {{name: replacer, file: {directory}/replacer.py, function: replacer, instruments: ["binance_usdm:BTCUSDT"]}}
"""


def config_of(exchange, prefix: str, directory: Path, bots: str) -> str:
    return HEAD % exchange.port + RISK + bots + TAIL % (prefix, directory / "runs")


def wait_for(condition: Callable[[], object], what: str, house, time_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + time_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {time_s} s: {what}\n{house.log()[-2000:]}"
        assert house.process.poll() is None, house.words()
        time.sleep(1.0)


def begun(house, bot: str) -> bool:
    return any('"strategy begins"' in line and f'"{bot}"' in line for line in house.log().splitlines())


def seen_by_the_exchange(house, venue: int, symbol: str) -> list[dict]:
    """Every order of ours that the exchange has ever had, as it tells anybody who asks."""

    async def ask(desks) -> list[dict]:
        desk = desks[venue]
        return await desk._signed("GET", f"{desk.line.rest_root}/allOrders", {"symbol": symbol, "limit": 1000})

    try:
        rows = house.exchange._ask(ask, house.prefix)
    except TradeError:  # A busy host: the exchange has no time for questions now.
        return []
    return [row for row in rows if row["clientOrderId"].startswith(house.prefix)]


def check_the_end(house) -> dict:
    """Nothing is open, books are equal, everybody left."""
    assert house.end() == 0, house.words()
    answer = house.exchange.open_orders(house.prefix)
    assert not answer.ours
    assert not answer.problems
    report = house.report()
    assert report["open_orders"] == 0, report["problems"]
    assert report["positions_and_balances_equal"] is True, report["comparisons"]
    house.assert_nobody_is_left()
    return report


def test_three_published_strategies_trade_unchanged_on_three_books_through_one_engine(
    make_house: Callable, exchange, tmp_path: Path
):
    house = make_house("bots", "lb", config=config_of(exchange, "lb", tmp_path, TUTORIALS))
    markets = {"grid": (USDM, "BTCUSDT"), "glft": (USDM, "ETHUSDT"), "obi": (SPOT, "BTCUSDT")}
    for bot in markets:
        wait_for(lambda bot=bot: begun(house, bot), f"{bot} trades", house)

    def is_lively(bot: str) -> bool:
        orders = seen_by_the_exchange(house, *markets[bot])
        return len({row["price"] for row in orders}) > 3 and any(row["status"] == "CANCELED" for row in orders)

    for bot in markets:  # Placed, cancelled, and placed again at other prices.
        wait_for(lambda bot=bot: is_lively(bot), f"the exchange saw orders of {bot} placed, replaced and cancelled", house)
    status = json.loads(house.command("status", "--instance", house.name, "--json").stdout)
    counters = {role["name"]: role["counters"] for role in status["roles"]}
    for bot in markets:
        assert counters[f"bot-{bot}"]["acknowledged"] > 3
        assert counters[f"bot-{bot}"].get("off_grid", 0) == 0, "they round to the tick themselves"
    report = check_the_end(house)
    assert report["orders"] > 30
    for bot in markets:
        assert (house.directory / "runs" / house.name / f"{bot}.npz").exists(), "records for hftbacktest's statistics"


@pytest.mark.parametrize("role", ["feed-0", "collector", "prepost", "engine"])
def test_a_strategy_goes_on_whoever_else_dies(make_house: Callable, exchange, tmp_path: Path, role: str):
    (tmp_path / "replacer.py").write_text(REPLACER)
    house = make_house("goes-on", "lg", config=config_of(exchange, "lg", tmp_path, replacer(tmp_path)))
    wait_for(lambda: begun(house, "replacer"), "it trades", house)

    def orders() -> int:
        return len(seen_by_the_exchange(house, USDM, "BTCUSDT"))

    wait_for(lambda: orders() >= 2, "it has replaced its order", house)
    os.kill(house.pids()[role], signal.SIGKILL)
    wait_for(lambda: house.log().count(f'"text": "role is ready", "name": "{role}"') == 2, "it is back", house)
    before = orders()
    wait_for(lambda: orders() >= before + 2, "the strategy goes on", house)
    assert check_the_end(house)["restarts"] == {role: 1}


def test_modify_replaces_the_order_under_the_strategys_own_id_and_a_killed_bot_leaves_nothing_open(
    make_house: Callable, exchange, tmp_path: Path
):
    (tmp_path / "replacer.py").write_text(REPLACER)
    house = make_house("replacer", "lr", config=config_of(exchange, "lr", tmp_path, replacer(tmp_path)))
    wait_for(lambda: begun(house, "replacer"), "it trades", house)

    def orders() -> list[dict]:
        return seen_by_the_exchange(house, USDM, "BTCUSDT")

    wait_for(lambda: len(orders()) >= 4, "it has replaced its order", house)
    assert sum(row["status"] == "NEW" for row in orders()) <= 2, "one at a time, and one on its way"
    assert {row["origQty"] for row in orders()} == {"0.010", "0.020"}
    victim = house.pids()["bot-replacer"]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: "its orders go" in house.log(), "prepost missed it", house, 20)
    wait_for(lambda: not any(row["status"] == "NEW" for row in orders()), "its order is cancelled", house, 20)
    wait_for(lambda: house.pids().get("bot-replacer", victim) != victim, "it was started again", house, 20)
    report = check_the_end(house)
    assert report["restarts"] == {"bot-replacer": 1}
