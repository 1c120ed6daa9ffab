"""Accounts → the figures of a report. Statistics are floats; the money below them was counted in integers.

Sharpe and Sortino are made of the changes of the net PnL over periods of equal length (PERIODS: the longest that gives at least
a hundred), annualised by √(periods per year), with no risk-free rate. As changes are in currency, not in percent of a capital
nobody named, only their ratio means something; below SPAN_SURE_S of data not even that, and the report says so.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactor.backtest.host import Run
from reactor.backtest.ledger import Account
from reactor.domain.instrument import Instrument
from reactor.domain.units import E8

PERIODS: Final = (1, 5, 10, 30, 60, 300, 600, 1800, 3600)  # seconds
PERIODS_MIN: Final = 100
YEAR_S: Final = 365.0 * 86_400.0
SPAN_SURE_S: Final = 7 * 86_400.0


@dataclass(frozen=True)
class Figures:
    """One asset, or all together (the quantities of different assets are not added up then). Money in settlement units."""

    name: str
    span_s: float
    pnl_gross: float
    fees: float
    funding: float
    pnl_net: float
    pnl_net_e8: int
    fills: int
    maker_fills: int
    taker_fills: int
    orders: int
    cancels: int
    expired: int
    decisions: int
    fill_ratio: float | None  # filled orders of all placed
    volume: float | None  # base units
    turnover: float
    pnl_per_turnover_bps: float | None
    drawdown_max: float
    drawdown_s: float  # the longest time below an earlier high
    sharpe: float | None
    sortino: float | None
    period_s: int
    periods: int
    position_last: float | None
    position_mean_abs: float | None
    position_max_abs: float | None
    time_in_market: float | None  # share of the samples with a position


def curve_of(accounts: Sequence[Account]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(times ns, net PnL) of all accounts together, at every time at which one of them was sampled."""
    times = np.unique(np.concatenate([[point.time_ns for point in account.points] for account in accounts]).astype(np.int64))
    total = np.zeros(len(times))
    for account in accounts:
        own = np.array([point.time_ns for point in account.points], np.int64)
        net = np.array([0.0, *(point.net_e8 / E8 for point in account.points)])
        total += net[np.searchsorted(own, times, side="right")]
    return times, total


def figures_of(result: Run, accounts: Sequence[Account]) -> list[Figures]:
    """One per asset, and the sum behind them if there are several; no sum of coins and quote currency."""
    each = [
        _figures(result.markets[number].parameters.name, [account], [result.counters[number]], result.instruments[number])
        for number, account in enumerate(accounts)
    ]
    kinds = {market.parameters.is_inverse for market in result.markets}
    if len(each) == 1 or len(kinds) > 1:
        return each
    return [*each, _figures("all", accounts, result.counters, None)]


def _figures(
    name: str, accounts: Sequence[Account], counters: Sequence[dict[str, int]], instrument: Instrument | None
) -> Figures:
    times, net = curve_of(accounts)
    lasts = [account.points[-1] for account in accounts]
    turnover = sum(account.totals.turnover_e8 for account in accounts) / E8
    net_e8 = sum(point.net_e8 for point in lasts)
    orders, filled = (sum(counter[key] for counter in counters) for key in ("orders", "filled"))
    drawdown, drawdown_s = drawdown_of(times, net)
    period_s, changes = changes_of(times, net)
    makers = sum(account.totals.maker_fills for account in accounts)
    fills = sum(account.totals.fills for account in accounts)
    volume = position = mean_abs = max_abs = in_market = None
    if instrument is not None:
        totals = accounts[0].totals
        held = np.abs(np.array([point.position_lots for point in accounts[0].points]))
        unit = instrument.quantity_float(1)
        volume = instrument.quantity_float(totals.bought_lots + totals.sold_lots)
        position = instrument.quantity_float(lasts[0].position_lots)
        mean_abs, max_abs = float(held.mean()) * unit, float(held.max()) * unit
        in_market = float((held > 0).mean())
    return Figures(
        name=name,
        span_s=float(times[-1] - times[0]) / 1e9,
        pnl_gross=sum(point.gross_e8 for point in lasts) / E8,
        fees=sum(point.fees_e8 for point in lasts) / E8,
        funding=sum(point.funding_e8 for point in lasts) / E8,
        pnl_net=net_e8 / E8,
        pnl_net_e8=net_e8,
        fills=fills,
        maker_fills=makers,
        taker_fills=fills - makers,
        orders=orders,
        cancels=sum(counter["cancelled"] for counter in counters),
        expired=sum(counter["expired"] for counter in counters),
        decisions=sum(counter["decisions"] for counter in counters),
        fill_ratio=filled / orders if orders else None,
        volume=volume,
        turnover=turnover,
        pnl_per_turnover_bps=net_e8 / E8 / turnover * 1e4 if turnover else None,
        drawdown_max=drawdown,
        drawdown_s=drawdown_s,
        sharpe=sharpe(changes, period_s),
        sortino=sortino(changes, period_s),
        period_s=period_s,
        periods=len(changes),
        position_last=position,
        position_mean_abs=mean_abs,
        position_max_abs=max_abs,
        time_in_market=in_market,
    )


def drawdown_of(times: NDArray[np.int64], net: NDArray[np.float64]) -> tuple[float, float]:
    """(deepest fall below an earlier high, longest time below one in s). The account begins at 0."""
    highs = np.maximum.accumulate(np.maximum(net, 0.0))
    deepest = float((highs - net).max())
    longest = begin = 0
    is_below = net < highs
    for place, below in enumerate(is_below):
        if not below:
            begin = place
        else:
            longest = max(longest, int(times[place] - times[begin]))
    return deepest, longest / 1e9


def changes_of(times: NDArray[np.int64], net: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """(period in s, changes of the net PnL from period to period)."""
    span_s = (times[-1] - times[0]) / 1e9
    period_s = next((period for period in reversed(PERIODS) if span_s / period >= PERIODS_MIN), PERIODS[0])
    ends = np.arange(times[0], times[-1] + 1, period_s * 1_000_000_000)
    return period_s, np.diff(net[np.searchsorted(times, ends, side="right") - 1])


def sharpe(changes: NDArray[np.float64], period_s: int) -> float | None:
    """mean / standard deviation (n − 1), annualised; None where nothing changes."""
    if len(changes) < 2:
        return None
    deviation = float(changes.std(ddof=1))
    return float(changes.mean()) / deviation * math.sqrt(YEAR_S / period_s) if deviation > 0 else None


def sortino(changes: NDArray[np.float64], period_s: int) -> float | None:
    """mean / root mean square of the losses, annualised; None where there is no loss."""
    if len(changes) < 2:
        return None
    downside = float(np.sqrt(np.mean(np.minimum(changes, 0.0) ** 2)))
    return float(changes.mean()) / downside * math.sqrt(YEAR_S / period_s) if downside > 0 else None


def method_of(figures: Figures) -> str:
    """How Sharpe and Sortino were made, in one sentence."""
    words = (
        f"Sharpe and Sortino: changes of the net PnL over {figures.periods:,} periods of {figures.period_s} s, annualised by "
        f"√(365 · 86400 / {figures.period_s}), no risk-free rate; Sortino's deviation is the root mean square of the losses"
    )
    if figures.span_s < SPAN_SURE_S:
        words += f"; {_span(figures.span_s)} of data are far too little for either to mean anything about a year"
    return words + "."


def _span(seconds: float) -> str:
    for unit, word in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {word}"
    return f"{seconds:.0f} seconds"


def plain(figures: Figures) -> dict[str, Any]:
    """For JSON and Parquet."""
    return asdict(figures)
