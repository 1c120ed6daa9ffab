"""The live path of a comparison: every role of a session under a virtual clock, on an exchange that a backtest can equal.

    market ─▶ ghosts.py (hftbacktest's rules) ─▶ face ─▶ feed ─▶ strategy ─▶ collector ─▶ prepost ─▶ engine ─▶ face
       │                                                      │
       └─▶ tape: the market, row by row                       └─▶ witness: every decision, what it saw and what it wanted

The roles are those of wiring.py on heap rings (sim/world/house.py). Without latency everything that follows from something
happens at the same nanosecond; only depth is told one nanosecond after it changed, because trades of that moment come first.
"""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from reactor.backtest.choice import Choice
from reactor.backtest.host import Decision
from reactor.config.load import load
from reactor.data.events import BUY_EVENT, DEPTH_EVENT, EVENT_DTYPE, SELL_EVENT, TRADE_EVENT, EventArray, correct_event_order
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instrument
from reactor.sim.faces.face import Face
from reactor.sim.faces.spot import SpotFace
from reactor.sim.faces.usdm import UsdmFace
from reactor.sim.funding import FundingParameters
from reactor.sim.ghosts import GhostMatching, Tape
from reactor.sim.parameters import SimParameters
from reactor.sim.server import LIMIT_NAMES, open_exchange
from reactor.sim.world.house import House, Shard, plan_with
from reactor.sim.world.network import Cloud
from reactor.sim.world.story import Story
from reactor.sim.world.time import BIRTHDAY_NS, BOOT_NS, MS, SECOND, VirtualTime
from reactor.strategies.strategy import WISH_QUOTE, WISH_REDUCE, Strategy, StrategyView, Wanted, Wishes

WARM_NS_MAX: Final = 30 * SECOND  # Until sessions are up, books synchronised and both sides' accounts agreed.
IDLE_PUMP_NS: Final = 20 * MS
LIFE_NS: Final = 24 * 3_600 * SECOND
TIMER_NS: Final = 1  # How fine the host's timers are: a decision is made when it is due.
TOLD_AFTER_NS: Final = 1
SETTINGS: Final = (
    # What a backtest does not have: a second source of tops, and limits that stop a strategy from quoting.
    "exchanges.binance.books.streams.has_tickers=false",
    "exchanges.binance.books.streams.depth_interval_ms=0",
    "risk_control.daily_trades_max=1000000000",
    "risk_control.order_rates_max=[1000000000,1000000000,1000000000]",
    "risk_control.quotes_max=64",
    "risk_control.capital_usdt_max=1000000000",
    "risk_control.order_notional_usdt_max=1000000000",
    "risk_control.exposure_ratio_max=1000000",
    "risk_control.exposure_ratio_warning=1000000",
    "risk_control.position_clips_max=1000000000",
    "risk_control.daily_loss_usdt_max=1000000000",
    "risk_control.signal_age_ms_max=10000",
    "risk_control.price_collar_ratio=0.5",
)


@dataclass(frozen=True)
class LiveParameters:
    """What trades in which market."""

    choice: Choice
    symbol: str = "BTCUSDT"
    seconds: float = 60.0
    seed: int = 1
    density: float = 0.5  # of the generated market
    replay: tuple[Path, ...] = ()  # captures instead of the generated market
    latency_ns: int = 0  # of the network, one way; 0: nothing takes time at all
    jitter_ns: int = 0


@dataclass(frozen=True)
class Fill:
    """One fill of one side of the comparison."""

    exchange_ns: int
    price_ticks: int
    quantity_lots: int  # > 0 bought
    is_maker: bool


@dataclass(frozen=True)
class LiveRun:
    """What the live path did, and the market it did it in. Times in ns of the exchange's clock."""

    instrument: Instrument
    decisions: list[Decision]
    fills: list[Fill]
    events: EventArray
    refusals: int  # by our own risk rules
    end_ns: int


class Witness:
    """Stands before a strategy and writes down what it saw and wanted; silent until it is let go."""

    def __init__(self, strategy: Strategy, offset_ns: int) -> None:
        self.name = strategy.name
        self.instrument_index = strategy.instrument_index
        self.update_interval_ms = strategy.update_interval_ms
        self.decisions: list[Decision] = []
        self.is_on = False
        self._strategy = strategy
        self._offset_ns = offset_ns

    def decide(self, view: StrategyView, now_ns: int) -> Wanted:
        """Asks the strategy, on the exchange's clock."""
        if not self.is_on:
            return None
        at_ns = now_ns + self._offset_ns
        wanted = self._strategy.decide(view, at_ns)
        top = view.top
        wishes = wanted if isinstance(wanted, Wishes | None) else Wishes(wanted)
        rows: tuple[tuple[int, int, int], ...] | None = None
        if wishes is not None and wishes.quotes is not None:
            rows = tuple((each.price_ticks, each.quantity_lots, WISH_QUOTE) for each in wishes.quotes)
            rows += tuple((each.price_ticks, each.quantity_lots, WISH_REDUCE) for each in wishes.orders)
        is_halt = wishes is not None and wishes.is_halt
        position = 0 if view.position is None else view.position.position_lots
        self.decisions.append(Decision(at_ns, 0, top.bid_ticks, top.ask_ticks, position, () if is_halt else rows, is_halt))
        return wanted

    def on_response(self, response: Any, now_ns: int) -> None:
        """Hands it on."""
        self._strategy.on_response(response, now_ns)


class _Rows:
    """The tape as hftbacktest's rows."""

    def __init__(self, tick_size: float, lot_size: float) -> None:
        self._rows: list[tuple[int, int, int, int, int]] = []  # ev, exchange ns, told after ns, ticks, lots
        self._tick_size = tick_size
        self._lot_size = lot_size

    def on_trade(self, now_ns: int, ticks: int, lots: int, taker_sells: bool) -> None:
        self._rows.append((TRADE_EVENT | (SELL_EVENT if taker_sells else BUY_EVENT), now_ns, 0, ticks, lots))

    def on_levels(self, now_ns: int, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> None:
        for side, levels in ((BUY_EVENT, bids), (SELL_EVENT, asks)):
            self._rows += [(DEPTH_EVENT | side, now_ns, TOLD_AFTER_NS, ticks, lots) for ticks, lots in levels]

    def events(self, latency_ns: int) -> EventArray:
        """In hftbacktest's order for both clocks; the feed takes `latency_ns`."""
        rows = np.array(self._rows, np.int64).reshape(-1, 5)
        events = np.zeros(len(rows), EVENT_DTYPE)
        events["ev"], events["exch_ts"] = rows[:, 0], rows[:, 1]
        events["local_ts"] = rows[:, 1] + rows[:, 2] + latency_ns
        events["px"] = rows[:, 3] * self._tick_size
        events["qty"] = rows[:, 4] * self._lot_size
        return correct_event_order(events)


class LivePath:
    """One run. See the module."""

    def __init__(self, parameters: LiveParameters) -> None:
        self.parameters = parameters
        symbol, seed = parameters.symbol, parameters.seed
        choice = parameters.choice
        hosted = {
            "name": choice.name, "instrument": f"binance_usdm:{symbol}", "parameters": dict(choice.parameters),
            "file": choice.file, "class_name": choice.class_name,
        }  # fmt: skip
        config = load("generated", None, {}, SETTINGS, {"strategy.pairs": [], "strategy.hosted": [hosted]})
        sim = SimParameters(replay=parameters.replay)
        generator = replace(sim.generator, seed=seed, symbols=(symbol,), density=parameters.density)
        face_parameters = replace(sim.face, lifted_limits=frozenset(LIMIT_NAMES))
        # No funding within the run: a backtest books none by itself.
        funding = FundingParameters(seed=seed, interval_s=LIFE_NS // SECOND)
        sim = replace(sim, generator=generator, face=face_parameters, funding=funding)
        self.time = VirtualTime()
        self._offset_ns = BIRTHDAY_NS - BOOT_NS
        self.exchange, face = open_exchange(sim, BIRTHDAY_NS)
        if symbol not in self.exchange.usdm.symbols:
            raise ConfigError(f"--symbol {symbol}: the market has {', '.join(self.exchange.usdm.symbols)}")
        plan = plan_with(config, (symbol,), has_limits=False)  # A backtest has none.
        self.instrument = next(each for each in plan.instruments if each.symbol == symbol and each.is_perpetual)
        self._rows = _Rows(self.instrument.price_float(1), self.instrument.quantity_float(1))
        self._haunt()
        faces: dict[str, Face] = {"spot": SpotFace(self.exchange.spot, face), "usdm": UsdmFace(self.exchange.usdm, face)}
        story = Story(self.time, is_told=False)
        dice = Random(f"{seed}:parity")
        self.cloud = Cloud(self.time, dice, self.exchange, faces, story, LIFE_NS)
        self.cloud.weather.latency_ns, self.cloud.weather.jitter_ns = parameters.latency_ns, parameters.jitter_ns
        self._home = Path(tempfile.mkdtemp(prefix="parity-"))
        self.house = House(plan, self.time, dice, self.cloud, story, self._home)
        if not parameters.latency_ns:
            self.house.pass_gap_ns, self.house.wake_ns = 0, lambda: 0
        self.house.timer_ns = TIMER_NS
        self.house.after_pass = self._after_pass
        self._witness: Witness | None = None

    def _haunt(self) -> None:
        """Puts the ghosts' matching into the venue, and lets depth be told at once."""
        venue: Any = self.exchange.usdm
        symbol = self.parameters.symbol
        market = venue._markets[symbol]
        venue._matchings[symbol] = GhostMatching(market, venue, Tape(self._rows.on_trade, self._rows.on_levels))
        for bucket in market._buckets:
            bucket.interval_ns = TOLD_AFTER_NS
            bucket.close_ns = 0
        market.next_close_ns = venue._next_close_ns = 0

    def _pump(self) -> None:
        now_ns = self.time.exchange_ns()
        taken = self.exchange.advance(now_ns)
        self.exchange.notices.take()
        self.cloud.settle()
        wait_ns = TOLD_AFTER_NS if taken else min(max(self.exchange.next_due_ns() - now_ns, TOLD_AFTER_NS), IDLE_PUMP_NS)
        self.time.after(wait_ns, self._pump)

    def run(self) -> LiveRun:
        """The whole run.

        Raises:
            ConfigError: the session does not come to trade.
        """
        try:
            return self._run()
        finally:
            for shard in self.house.shards.values():
                shard.crash("the end")
            shutil.rmtree(self._home, ignore_errors=True)

    def _run(self) -> LiveRun:
        self._pump()
        self.house.start()
        until_ns = self.time.now_ns + WARM_NS_MAX
        while not self._may_trade():
            if self.time.now_ns >= until_ns:
                raise ConfigError(f"the session does not trade after {WARM_NS_MAX // SECOND} s: see `crypto-trade check`")
            self._run_for(20 * MS)
        witness = self._witness
        assert witness is not None, "the feed has had a pass"
        witness.is_on = True
        self._run_for(round(self.parameters.seconds * SECOND))
        prepost = self.house.role("prepost")
        account: Any = self.exchange.usdm
        fills = [
            Fill(each.time_ns, each.price_ticks, each.quantity_lots * (1 if each.side == "BUY" else -1), each.is_maker)
            for each in account._accounts[1].fills
        ]
        events = self._rows.events(self.parameters.latency_ns + self.parameters.jitter_ns // 2)
        return LiveRun(self.instrument, witness.decisions, fills, events, int(prepost.desk.refusals), self.time.exchange_ns())

    def _after_pass(self, shard: Shard) -> None:
        """Before the first book is there, the witness takes its place."""
        if self._witness is None and shard.plan.strategies:
            role: Any = shard.role
            hosted = role.host.hosted[0]
            self._witness = hosted.strategy = Witness(hosted.strategy, self._offset_ns)

    def _run_for(self, ns: int) -> None:
        self.time.run(self.time.now_ns + ns)

    def _may_trade(self) -> bool:
        prepost, feeds = self.house.role("prepost"), [each for each in self.house.shards.values() if each.plan.kind == "feed"]
        if prepost is None or not prepost.desk.is_reconciled:
            return False
        return all(each.role is not None and each.role.is_ready() for each in feeds)


def run_live(parameters: LiveParameters) -> LiveRun:
    """One live run.

    Raises:
        ConfigError: the strategy, its parameters or the symbol cannot be.
        DataError: a capture cannot be played.
    """
    return LivePath(parameters).run()
