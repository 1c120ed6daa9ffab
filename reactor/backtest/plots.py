"""Equity, price and position over time, as PNG. Needs matplotlib (extra `plot`)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from reactor.backtest.figures import curve_of
from reactor.backtest.host import Run
from reactor.backtest.ledger import Account
from reactor.domain.errors import ConfigError
from reactor.domain.units import E8

INK, NET, GROSS, BUY, SELL, HELD = "#20242b", "#1f6feb", "#9aa4b2", "#1a7f37", "#cf222e", "#8250df"
MARKERS_MAX: Final = 2_000  # More triangles than that are a carpet: then every n-th is drawn, and the title says so.


def need_matplotlib() -> Any:
    """matplotlib.pyplot, drawing into files.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise ConfigError("plots need matplotlib: pip install 'crypto-trade[plot]', or --no-plots") from None
    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw(result: Run, accounts: Sequence[Account], directory: Path, title: str) -> list[Path]:
    """One PNG per asset (price with fills, PnL, position), and one of the whole if there are several. Returns their paths."""
    pyplot = need_matplotlib()
    style = {
        "font.size": 9, "axes.edgecolor": "#d0d7de", "axes.labelcolor": INK, "text.color": INK, "xtick.color": "#57606a",
        "ytick.color": "#57606a", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "grid.color": "#eaeef2", "grid.linewidth": 0.8, "axes.axisbelow": True, "axes.formatter.useoffset": False,
    }  # fmt: skip
    paths = []
    with pyplot.rc_context(style):
        for number, account in enumerate(accounts):
            name = result.markets[number].parameters.name
            figure = _asset(pyplot, result, number, account, f"{title} on {name}" if len(accounts) > 1 else title)
            paths.append(directory / ("equity.png" if len(accounts) == 1 else f"equity_{_file_name(name)}.png"))
            figure.savefig(paths[-1], dpi=130)
            pyplot.close(figure)
        is_one_currency = len({market.parameters.is_inverse for market in result.markets}) == 1
        if len(accounts) > 1 and is_one_currency:
            figure = _together(pyplot, result, accounts, title)
            paths.insert(0, directory / "equity.png")
            figure.savefig(paths[0], dpi=130)
            pyplot.close(figure)
    return paths


def _file_name(name: str) -> str:
    return "".join(each if each.isalnum() or each in "-_." else "_" for each in name)


def _dates(times_ns: Any) -> Any:
    return (np.asarray(times_ns, np.int64) // 1000).astype("datetime64[us]")


def _asset(pyplot: Any, result: Run, number: int, account: Account, title: str) -> Any:
    instrument, points = result.instruments[number], account.points
    times = _dates([point.time_ns for point in points])
    tick, lot = instrument.price_float(1), instrument.quantity_float(1)
    figure, (price, pnl, position) = pyplot.subplots(
        3, 1, figsize=(12, 8.5), sharex=True, layout="constrained", gridspec_kw={"height_ratios": [3, 3, 1.4]}
    )
    fills = result.fills[result.fills["asset"] == number]
    step = max(1, -(-len(fills) // MARKERS_MAX))
    shown = fills[::step]
    price.plot(times, [point.mid_half_ticks / 2 * tick for point in points], color=INK, linewidth=0.9)
    for is_side, marker, colour, word in (
        (shown["quantity_lots"] > 0, "^", BUY, "bought"), (shown["quantity_lots"] < 0, "v", SELL, "sold"),
    ):  # fmt: skip
        some = shown[is_side]
        price.scatter(
            _dates(some["exchange_ns"]), some["price_ticks"] * tick, marker=marker, s=16, color=colour, label=word, linewidths=0
        )
    what = f"{len(fills):,} fills" + (f", one in {step} drawn" if step > 1 else "")
    price.set_title(f"{title}   ·   {what}   ·   {_span(points)}", loc="left", fontsize=10.5, fontweight="bold", color=INK)
    price.set_ylabel("mid price")
    _profit(pnl, times, points)
    held = np.array([point.position_lots for point in points]) * lot
    position.fill_between(times, held, step="post", color=HELD, alpha=0.35, linewidth=0)
    position.step(times, held, where="post", color=HELD, linewidth=0.8)
    position.axhline(0, color=INK, linewidth=0.6)
    position.set_ylabel("position")
    if len(fills):
        price.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, ncols=2, markerscale=1.6)
    _time_axis(position, times)
    return figure


def _profit(axes: Any, times: Any, points: Sequence[Any]) -> None:
    net = np.array([point.net_e8 for point in points]) / E8
    gross = np.array([point.gross_e8 for point in points]) / E8
    high = np.maximum.accumulate(np.maximum(net, 0.0))
    axes.plot(times, gross, color=GROSS, linewidth=1.0, label="gross: before fees and funding")
    axes.plot(times, net, color=NET, linewidth=1.4, label="net")
    axes.fill_between(times, net, high, color=SELL, alpha=0.08, linewidth=0, label="below an earlier high")
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_ylabel("PnL")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), frameon=False, ncols=3)


def _together(pyplot: Any, result: Run, accounts: Sequence[Account], title: str) -> Any:
    figure, axes = pyplot.subplots(figsize=(12, 4.5), layout="constrained")
    for number, account in enumerate(accounts):
        times = _dates([point.time_ns for point in account.points])
        name = result.markets[number].parameters.name
        axes.plot(times, [point.net_e8 / E8 for point in account.points], linewidth=1.0, label=name)
    times_ns, net = curve_of(accounts)
    axes.plot(_dates(times_ns), net, color=INK, linewidth=1.5, label="all")
    axes.axhline(0, color=INK, linewidth=0.6)
    axes.set_title(f"{title}   ·   net PnL", loc="left", fontsize=10.5, fontweight="bold", color=INK)
    axes.set_ylabel("net PnL")
    axes.legend(loc="lower left", frameon=False, ncols=6)
    _time_axis(axes, _dates(times_ns))
    return figure


def _time_axis(axes: Any, times: Any) -> None:
    import matplotlib.dates

    dates: Any = matplotlib.dates
    locator = dates.AutoDateLocator(maxticks=12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.set_xlim(times[0], times[-1])
    axes.set_xlabel("UTC")


def _span(points: Sequence[Any]) -> str:
    first, last = (datetime.fromtimestamp(point.time_ns / 1e9, UTC) for point in (points[0], points[-1]))
    is_one_day = first.date() == last.date()
    return f"{first:%Y-%m-%d %H:%M:%S} – {last:{'%H:%M:%S' if is_one_day else '%Y-%m-%d %H:%M:%S'}}"
