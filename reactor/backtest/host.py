"""Runs strategies on the past and hands back everything that happened.

    run(strategies, markets, parameters) ─▶ Run: fills, samples, counters, and on request every decision with its wishes

Who compares two ways through the same market asks for decisions_of(run).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from reactor.backtest.exchange import need_hftbacktest, open_exchange
from reactor.backtest.latency import LatencyModel, latency_model
from reactor.backtest.market import Market
from reactor.backtest.parameters import BacktestParameters
from reactor.domain.errors import ConfigError, TradeError
from reactor.domain.instrument import Instrument
from reactor.domain.messages import Venue
from reactor.domain.units import E8
from reactor.strategies.strategy import KernelStrategy, Scale, Strategy

MS = 1_000_000
STATE_NAMES = ("position", "balance", "fee", "num_trades", "trading_volume", "trading_value")


@dataclass
class Run:
    """What happened. Arrays: see the dtypes in machine.py; times in ns since the epoch, by the local clock unless said."""

    markets: Sequence[Market]
    instruments: Sequence[Instrument]
    latencies: Sequence[LatencyModel]
    fills: Any
    samples: Any
    counters: list[dict[str, int]]  # per asset
    states: list[dict[str, float]]  # hftbacktest's own figures, to compare with
    decisions: Any  # DECISION_DTYPE; empty unless asked for
    wanted: Any  # WANTED_DTYPE; a decision's are wanted[first : first + count]
    is_compiled: bool
    compile_s: float = 0.0  # until the first event
    run_s: float = 0.0
    live_at_end: list[int] = field(default_factory=list)  # orders per asset

    @property
    def events(self) -> int:
        """That went through."""
        return sum(market.event_count for market in self.markets)


@dataclass(frozen=True)
class Decision:
    """One answer of one strategy."""

    now_ns: int  # local clock
    asset: int
    bid_ticks: int  # what it saw
    ask_ticks: int
    position_lots: int
    wants: tuple[tuple[int, int, int], ...] | None  # (price_ticks, signed lots, WISH_QUOTE or WISH_REDUCE); None: as before
    is_halt: bool = False


def instrument_of(asset: int, market: Market) -> Instrument:
    """The record that a strategy reads; what no file tells is left open wide."""
    own = market.parameters
    price_decimals, tick = _fixed(own.tick_size)
    quantity_decimals, lot = _fixed(own.lot_size)
    return Instrument(
        instrument_index=asset, venue=int(Venue.BINANCE_USDM), symbol=own.name, base_asset=own.name, quote_asset="",
        price_decimals=price_decimals, quantity_decimals=quantity_decimals, tick_size=tick, lot_size=lot,
        quantity_lots_min=1, quantity_lots_max=1 << 53, market_quantity_lots_max=1 << 53, price_ticks_min=1,
        price_ticks_max=1 << 53, notional_min_e8=0, maker_fee_e8=round(own.maker_fee * E8),
        taker_fee_e8=round(own.taker_fee * E8), is_perpetual=True, contract_size_e8=round(own.contract_size * E8),
    )  # fmt: skip


def _fixed(step: float) -> tuple[int, int]:
    """(decimals, integer): step = integer · 10^−decimals."""
    exact = Decimal(repr(step)).normalize()
    exponent = exact.as_tuple().exponent
    assert isinstance(exponent, int), "a step is a finite number"
    decimals = max(0, -exponent)
    return decimals, int(exact.scaleb(decimals))


def scale_of(market: Market) -> Scale:
    """The steps of a market, as strategies want them."""
    return Scale(market.parameters.tick_size, market.parameters.lot_size)


def can_compile(strategies: Sequence[Strategy]) -> bool:
    """All are kernels, and the same one."""
    kernels = {type(each).kernel if isinstance(each, KernelStrategy) else None for each in strategies}
    return len(kernels) == 1 and None not in kernels


def run(
    strategies: Sequence[Strategy],
    markets: Sequence[Market],
    parameters: BacktestParameters,
    on_progress: Callable[[int], None] | None = None,
) -> Run:
    """One backtest: strategy i on market i, all on one clock.

    Args:
        on_progress: hears the local time reached, about once a second.

    Raises:
        ConfigError: hftbacktest is missing, a strategy fails or cannot be compiled, or it forgets its orders.
        DataError: a file of latencies is none.
    """
    need_hftbacktest()
    from reactor.backtest import compiled, machine

    assert len(strategies) == len(markets), "one strategy per market"
    began_s = time.perf_counter()
    latencies = [latency_model(parameters.latency, market) for market in markets]
    instruments = [instrument_of(asset, market) for asset, market in enumerate(markets)]
    hbt = open_exchange(parameters, markets, latencies)
    m = machine.new_machine(
        [each.update_interval_ms * MS for each in strategies],
        [(market.parameters.tick_size, market.parameters.lot_size) for market in markets],
        [market.last_ns for market in markets],
        parameters.sample_interval_ms * MS,
        parameters.keeps_decisions,
    )
    try:
        player = _player_of(strategies, instruments, markets, parameters)
        player.warm(hbt, m)
        ready_s = time.perf_counter()
        records = _play(player, hbt, m, max(market.start_ns for market in markets), strategies, on_progress)
        done_s = time.perf_counter()
        return Run(
            markets, instruments, latencies, records.joined("fills"), records.joined("samples"),
            [dict(zip(machine.COUNTER_NAMES, row, strict=True)) for row in m.counters.tolist()],
            [dict(zip(STATE_NAMES, compiled.step_states(hbt, asset), strict=True)) for asset in range(len(markets))],
            records.joined("decisions"), records.joined("wanted"), isinstance(player, compiled.CompiledRun),
            ready_s - began_s, done_s - ready_s, m.clock[:, machine.LIVE].tolist(),
        )  # fmt: skip
    finally:
        compiled.step_close(hbt)


def _player_of(
    strategies: Sequence[Strategy], instruments: Sequence[Instrument], markets: Sequence[Market], parameters: BacktestParameters
) -> Any:
    """Who plays the steps: the loop compiled around a kernel, or around any object's decide()."""
    from reactor.backtest.compiled import CompiledRun
    from reactor.backtest.plain import PlainRun

    if can_compile(strategies) and not parameters.is_interpreted:
        return CompiledRun([each for each in strategies if isinstance(each, KernelStrategy)])
    return PlainRun(strategies, instruments, [market.lower_ticks for market in markets])


def _play(
    player: Any, hbt: Any, m: Any, start_ns: int, strategies: Sequence[Strategy], on_progress: Callable[[int], None] | None
) -> "_Records":
    """From the first event to the last.

    Raises:
        TradeError: more orders than there is room for, or one that hftbacktest refused.
    """
    from reactor.backtest import compiled, machine

    records = _Records(m)
    code = compiled.step_start(hbt, m, start_ns)
    while code != machine.END:
        code = player.steps(hbt, m)
        records.drain()
        if code in (machine.TOO_MANY, machine.REFUSED):
            raise _stopped(code, strategies, compiled.step_now(hbt))
        if on_progress is not None:
            on_progress(compiled.step_now(hbt))
    compiled.step_finish(hbt, m)
    records.drain()
    return records


def _stopped(code: int, strategies: Sequence[Strategy], now_ns: int) -> TradeError:
    from reactor.backtest import machine

    names = ", ".join(dict.fromkeys(each.name for each in strategies))
    if code == machine.TOO_MANY:
        return ConfigError(f"{names}: more than {machine.LIVE_MAX} orders of one instrument are live at {now_ns} ns")
    return ConfigError(f"{names}: hftbacktest refused an order at {now_ns} ns")


class _Records:
    """What the machine wrote, moved out of its rooms."""

    def __init__(self, m: Any) -> None:
        from reactor.backtest import machine

        self._m = m
        self._parts: dict[str, list[Any]] = {"fills": [], "samples": [], "decisions": [], "wanted": []}
        self._places = {
            "fills": machine.FILLS, "samples": machine.SAMPLES, "decisions": machine.DECISIONS, "wanted": machine.WANTED,
        }  # fmt: skip
        self._wanted_before = 0

    def drain(self) -> None:
        """Empties the rooms."""
        context = self._m.context
        for name, parts in self._parts.items():
            count = int(context[self._places[name]])
            rows = getattr(self._m, name)[:count].copy()
            if name == "decisions":
                rows["first"] += self._wanted_before
            parts.append(rows)
        self._wanted_before += len(self._parts["wanted"][-1])
        for place in self._places.values():
            context[place] = 0

    def joined(self, name: str) -> Any:
        """Everything of one kind."""
        return np.concatenate(self._parts[name])


def decisions_of(result: Run) -> list[Decision]:
    """Every decision of a run that kept them (BacktestParameters.keeps_decisions), in order of time."""
    from reactor.strategies.strategy import HALT, KEEP

    wanted = [tuple(row) for row in result.wanted.tolist()]
    found = []
    for now_ns, asset, count, first, bid, ask, position in result.decisions.tolist():
        wants = None if count == KEEP else tuple(wanted[first : first + max(count, 0)])
        found.append(Decision(now_ns, asset, bid, ask, position, wants, is_halt=count == HALT))
    return found
