"""What a backtest costs: the strategy of the house, compiled around its one kernel, against the same rules written by hand.

    by hand      tests/backtest/obi_by_hand.py: one Numba function in the way of hftbacktest's examples
    compiled     reactor/backtest: machine + kernel, as `crypto-trade backtest` runs it
    plain        the same strategy object, its decide() interpreted
    market only  hftbacktest alone: elapse from interval to interval, nobody decides. The floor.

The handwritten one takes mean and deviation of its windows anew at every step, as the examples do; ours are streamed in C.

Same events, same exchange, same orders (the checksum is the list of trades). CPU time of this process, contenders turn by turn,
best of the runs: other people's load on a shared machine then weighs little. Compilation is not in it; it is printed beside.

    .venv/bin/python bench/backtest.py [--runs 7] [--seconds 1800] [--json] [FILE.npz]

Without a file: the BTCUSDT perpetual capture if there is one, and a generated market of --seconds. Target: ratio below 2.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "backtest"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
from conftest import CAPTURES
from machine import machine as this_machine
from numba import njit
from obi_by_hand import FILL_DTYPE, arguments, obi_by_hand

from reactor.backtest import compiled, machine
from reactor.backtest.exchange import open_exchange
from reactor.backtest.generated import generate
from reactor.backtest.host import instrument_of, scale_of
from reactor.backtest.latency import latency_model
from reactor.backtest.market import Market, open_market
from reactor.backtest.parameters import AssetParameters, BacktestParameters
from reactor.backtest.plain import PlainRun
from reactor.data.convert.collector import convert_collector
from reactor.data.npz import save_npz
from reactor.strategies.obi_market_making import ObiParameters
from reactor.strategies.registry import make_strategy

GIVEN: dict[str, Any] = {"half_spread": 0.5, "order_qty": 0.01, "max_position": 0.1}
TARGET = 2.0
Trades = list[tuple[int, int, int]]


@njit
def market_only(hbt: Any, interval_ns: int) -> int:
    """The floor: time passes, nothing is done."""
    steps = 0
    while hbt.elapse(interval_ns) == 0:
        steps += 1
    return steps


class Stand:
    """One market and everybody who runs on it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.parameters = BacktestParameters((market.parameters,))
        self.latency = latency_model("1", market)

    def exchange(self) -> Any:
        return open_exchange(self.parameters, [self.market], [self.latency])

    def by_hand(self) -> tuple[float, Trades]:
        hbt, fills, own = self.exchange(), np.zeros(1_000_000, FILL_DTYPE), self.market.parameters
        given = arguments(ObiParameters(**GIVEN))
        began = time.process_time()
        count, _, _ = obi_by_hand(hbt, fills, self.market.start_ns, own.tick_size, own.lot_size, *given)
        took = time.process_time() - began
        return took, sorted((row[0], row[2], row[1] * row[3]) for row in fills[:count].tolist())

    def compiled(self) -> tuple[float, Trades]:
        return self._house(compiled.CompiledRun([self._strategy()]))

    def plain(self) -> tuple[float, Trades]:
        return self._house(PlainRun([self._strategy()], [instrument_of(0, self.market)], [self.market.lower_ticks]))

    def floor(self) -> tuple[float, Trades]:
        hbt = self.exchange()
        began = time.process_time()
        market_only(hbt, 100_000_000)
        return time.process_time() - began, []

    def _strategy(self) -> Any:
        return make_strategy("obi-mm", 0, scale_of(self.market), GIVEN)

    def _house(self, player: Any) -> tuple[float, Trades]:
        hbt, own = self.exchange(), self.market.parameters
        m = machine.new_machine([100_000_000], [(own.tick_size, own.lot_size)], [self.market.last_ns], 1_000_000_000, False)
        player.warm(hbt, m)
        trades: Trades = []
        began = time.process_time()
        code = compiled.step_start(hbt, m, self.market.start_ns)
        while code != machine.END:
            code = player.steps(hbt, m)
            taken = m.fills[: m.context[machine.FILLS]]
            trades += zip(
                taken["exchange_ns"].tolist(), taken["price_ticks"].tolist(), taken["quantity_lots"].tolist(), strict=True
            )
            m.context[machine.FILLS] = m.context[machine.SAMPLES] = 0
        compiled.step_finish(hbt, m)
        took = time.process_time() - began
        taken = m.fills[: m.context[machine.FILLS]]
        trades += zip(
            taken["exchange_ns"].tolist(), taken["price_ticks"].tolist(), taken["quantity_lots"].tolist(), strict=True
        )
        return took, sorted(trades)


def compare(market: Market, runs: int) -> dict[str, Any]:
    """Every contender's figures, and compiled / by hand."""
    stand = Stand(market)
    contenders: dict[str, Callable[[], tuple[float, Trades]]] = {
        "market only": stand.floor, "by hand": stand.by_hand, "compiled": stand.compiled, "plain": stand.plain,
    }  # fmt: skip
    first, best, trades = {}, {}, {}
    for turn in range(runs + 1):
        for word, contender in contenders.items():
            began = time.process_time()
            took, trades[word] = contender()
            if turn == 0:  # It compiles, and warms.
                first[word] = time.process_time() - began
            else:
                best[word] = min(took, best.get(word, took))
    assert trades["by hand"] == trades["compiled"] == trades["plain"], "everybody did the same"
    return {
        "events": market.event_count,
        "market_s": (market.last_ns - market.first_ns) / 1e9,
        "trades": len(trades["compiled"]),
        "contenders": {
            word: {
                "ns_per_event": best[word] / market.event_count * 1e9,
                "cpu_ms": best[word] * 1e3,
                "ratio": best[word] / best["by hand"],
                "first_s": first[word],
            }
            for word in contenders
        },
    }


def show(name: str, figures: dict[str, Any]) -> None:
    """One table for people."""
    print(f"{name}: {figures['events']:,} events, {figures['market_s']:,.0f} s of market, {figures['trades']:,} trades each")
    for word, each in figures["contenders"].items():
        speed = f"{each['cpu_ms']:9.1f} ms   {each['ns_per_event']:7.1f} ns/event"
        print(f"  {word:12} {speed}   {each['ratio']:5.2f} × by hand   first {each['first_s']:5.1f} s")


def main(runs: int = 7, seconds: float = 1800.0, files: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every market's figures."""
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        markets = {Path(each).name: each for each in files}
        if not files:
            capture = CAPTURES / "usdm" / "btcusdt_20240808.gz"
            if capture.is_file():
                events, _ = convert_collector([capture])
                markets["BTCUSDT perpetual, captured"] = str(Path(directory) / "captured.npz")
                save_npz(markets["BTCUSDT perpetual, captured"], events)
            markets["BTCUSDT, generated"] = str(generate("BTCUSDT", seconds, 1, Path(directory) / "generated.npz"))
        for name, path in markets.items():
            found[name] = compare(open_market(AssetParameters(name, (path,))), runs)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = main(given.runs, given.seconds, tuple(given.files))
    result = {"machine": this_machine(), "pins": sorted(os.sched_getaffinity(0)), "target_ratio": TARGET, "markets": found}
    if given.json:
        print(json.dumps(result))
    else:
        print(f"{result['machine']}; any of cores {result['pins']}")
        for name, figures in found.items():
            show(name, figures)
        print(f"target: compiled below {TARGET:g} × by hand")
    sys.exit(0 if all(each["contenders"]["compiled"]["ratio"] < TARGET for each in found.values()) else 1)
