"""What a backtest hands over: one folder with a page for people, plots, and every figure for programs.

    report.html       self-contained: figures, settings, plots, what one must know
    equity*.png       price with fills, PnL, position
    figures.json      every figure and setting         figures.parquet    the figures, one row per asset
    points.parquet    the account over time            fills.parquet      every fill

The page needs no network and no other file: it may be mailed.
"""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from reactor.backtest.figures import Figures, figures_of, method_of, plain
from reactor.backtest.funding import funding_words
from reactor.backtest.host import Run
from reactor.backtest.ledger import Account
from reactor.backtest.parameters import BacktestParameters
from reactor.domain.errors import ConfigError

CAVEATS: Final = (
    "Orders fill whole or not at all (hftbacktest's exchange without partial fills), and they move no market.",
    "No risk rule but the strategy's own: prepost's limits, cooldowns and rate budgets are not part of a backtest.",
    "An order that is no longer wanted while its place is still on its way is cancelled after its ack; live it is overtaken.",
    "Fills count in the curve from the decision at which the strategy could first know of them.",
)


@dataclass
class Report:
    """A run with its money counted."""

    strategy: str
    strategy_parameters: Mapping[str, Any]  # as given
    all_parameters: Mapping[str, Any]  # with what they are by default
    parameters: BacktestParameters
    result: Run
    accounts: Sequence[Account]
    figures: Sequence[Figures] = field(default_factory=list)
    remarks: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.figures = figures_of(self.result, self.accounts)

    def settings(self) -> dict[str, str]:
        """What was assumed, in words."""
        result = self.result
        words = {"strategy": self.strategy, "parameters": _pairs(self.strategy_parameters)}
        for number, market in enumerate(result.markets):
            own = market.parameters
            kind = "inverse" if own.is_inverse else "linear"
            words[own.name] = (
                f"{market.event_count:,} events of {', '.join(Path(each).name for each in own.files)}; tick {own.tick_size:g}, "
                f"lot {own.lot_size:g}, {kind}, fees {own.maker_fee:.4%} maker and {own.taker_fee:.4%} taker"
                + (f"; {_pairs(own.parameters)}" if own.parameters else "")
                + (f"; {result.live_at_end[number]} orders live at the end" if result.live_at_end[number] else "")
            )
        words["order latency"] = "; ".join(dict.fromkeys(each.words for each in result.latencies))
        words["queue model"] = f"{self.parameters.queue} (hftbacktest)"
        words["funding"] = funding_words(self.parameters)
        path = "compiled" if result.is_compiled else "plain Python"
        words["ran"] = (
            f"{path}: {result.events:,} events and {self.figures[-1].decisions:,} decisions in {result.run_s:.2f} s"
            f" ({cost_us(result):.1f} µs per decision, market included), {result.compile_s:.1f} s to start"
        )
        return words

    def json(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {
            "strategy": self.strategy,
            "parameters": dict(self.all_parameters),
            "parameters_given": dict(self.strategy_parameters),
            "settings": self.settings(),
            "method": method_of(self.figures[-1]),
            "caveats": list(CAVEATS),
            "remarks": list(self.remarks),
            "figures": [plain(each) for each in self.figures],
            "funding": [vars(payment) for account in self.accounts for payment in account.funding],
            "hftbacktest": self.result.states,
        }


def cost_us(result: Run) -> float:
    """What one decision took, with the market that passed between two of them."""
    return result.run_s / max(1, sum(each["decisions"] for each in result.counters)) * 1e6


def open_directory(directory: Path) -> None:
    """Makes it now, and not after an hour of backtest.

    Raises:
        ConfigError: it cannot be made or written to.
    """
    probe = directory / ".writable"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"-o {directory}: {error.strerror}; choose a folder that you may write to") from None


def write(report: Report, directory: Path, *, has_plots: bool = True) -> list[Path]:
    """Writes the folder. Returns what was written, the page first.

    Raises:
        ConfigError: matplotlib is missing, or the disk is full.
    """
    open_directory(directory)
    try:
        plots: list[Path] = []
        if has_plots:
            from reactor.backtest.plots import draw

            plots = draw(report.result, report.accounts, directory, report.strategy)
        figures = directory / "figures.json"
        figures.write_text(json.dumps(report.json(), indent=2, default=str) + "\n")
        page = directory / "report.html"
        page.write_text(_page(report, plots))
        return [page, *plots, figures, *_write_parquet(report, directory)]
    except OSError as error:
        raise ConfigError(f"-o {directory}: the report cannot be written: {error.strerror or error}") from None


def _write_parquet(report: Report, directory: Path) -> list[Path]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        report.remarks = [*report.remarks, "no Parquet files were written: pip install 'crypto-trade[parquet]'"]
        return []
    names = [market.parameters.name for market in report.result.markets]
    rows = {
        "asset": [names[number] for number, account in enumerate(report.accounts) for _ in account.points],
        **{
            key: [getattr(point, key) for account in report.accounts for point in account.points]
            for key in ("time_ns", "mid_half_ticks", "position_lots", "gross_e8", "fees_e8", "funding_e8", "net_e8")
        },
    }
    fills = report.result.fills
    tables = {
        "figures": pyarrow.Table.from_pylist([plain(each) for each in report.figures]),
        "points": pyarrow.table(rows),
        "fills": pyarrow.table({name: fills[name] for name in fills.dtype.names}),
    }
    written = []
    for name, table in tables.items():
        written.append(directory / f"{name}.parquet")
        parquet.write_table(table, written[-1], compression="zstd")
    return written


# -- the page ----------------------------------------------------------------------------------------------------------

_STYLE: Final = """
:root{--ink:#20242b;--dim:#57606a;--line:#d8dee4;--paper:#fff;--card:#f6f8fa;--good:#1a7f37;--bad:#cf222e}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1060px;margin:0 auto;padding:36px 24px 64px}
h1{font-size:26px;margin:0 0 2px}h2{font-size:17px;margin:36px 0 10px}
.dim{color:var(--dim)}.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:22px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px}
.card b{display:block;font-size:21px;font-variant-numeric:tabular-nums;white-space:nowrap}
.card span{color:var(--dim);font-size:12.5px}
.good{color:var(--good)}.bad{color:var(--bad)}img{width:100%;border:1px solid var(--line);border-radius:8px;margin:6px 0 14px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:5px 10px;border-bottom:1px solid var(--line);
text-align:right;vertical-align:top}th{font-weight:600}td:first-child,th:first-child{text-align:left;color:var(--dim);white-space:nowrap}
table.words td{text-align:left}li{margin:4px 0}footer{margin-top:36px;color:var(--dim);font-size:13px}
"""


def rows_of(figures: Sequence[Figures]) -> list[tuple[str, list[str]]]:
    """The table of figures: label, one text per column. The same for the page and the terminal."""

    def row(label: str, text: Any) -> tuple[str, list[str]]:
        return label, [text(each) for each in figures]

    return [
        row("PnL net", lambda f: _money(f.pnl_net)),
        row("PnL gross", lambda f: _money(f.pnl_gross)),
        row("fees", lambda f: _money(-f.fees)),
        row("funding", lambda f: _money(f.funding)),
        row("net of turnover", lambda f: _optional(f.pnl_per_turnover_bps, "{:+.3f} bp")),
        row("fills (maker / taker)", lambda f: f"{f.fills:,} ({f.maker_fills:,} / {f.taker_fills:,})"),
        row("volume", lambda f: _optional(f.volume, "{:,.6g}")),
        row("turnover", lambda f: f"{f.turnover:,.2f}"),
        row("orders, cancelled, expired", lambda f: f"{f.orders:,}, {f.cancels:,}, {f.expired:,}"),
        row("fill ratio (filled / placed)", lambda f: _optional(f.fill_ratio, "{:.2%}")),
        row("max drawdown", lambda f: _money(-f.drawdown_max)),
        row("longest below a high", lambda f: f"{f.drawdown_s:,.0f} s"),
        row("Sharpe (annualised)", lambda f: _optional(f.sharpe, "{:.2f}")),
        row("Sortino (annualised)", lambda f: _optional(f.sortino, "{:.2f}")),
        row("position mean |·|, max |·|", lambda f: _position(f)),
        row("position at the end", lambda f: _optional(f.position_last, "{:+.6g}")),
        row("time in the market", lambda f: _optional(f.time_in_market, "{:.1%}")),
    ]


def _position(figures: Figures) -> str:
    return f"{_optional(figures.position_mean_abs, '{:.4g}')}, {_optional(figures.position_max_abs, '{:.4g}')}"


def _money(value: float) -> str:
    size = abs(value)
    return f"{value:+,.2f}" if size >= 1 or value == 0 else f"{value:+,.6f}"


def _optional(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _pairs(values: Mapping[str, Any]) -> str:
    words = (f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())
    return ", ".join(words) or "as they are by default"


def _page(report: Report, plots: Sequence[Path]) -> str:
    total, text = report.figures[-1], html.escape
    first_ns = min(market.first_ns for market in report.result.markets)
    last_ns = max(market.last_ns for market in report.result.markets)
    cards = [
        (_money(total.pnl_net), "PnL net of fees and funding", "good" if total.pnl_net >= 0 else "bad"),
        (_money(total.pnl_gross), "PnL gross", ""),
        (_money(-total.fees), "fees", ""),
        (f"{total.fills:,}", "fills", ""),
        (_optional(total.fill_ratio, "{:.1%}"), "of the orders filled", ""),
        (_money(-total.drawdown_max), "max drawdown", ""),
    ]
    shown = "".join(
        f'<div class="card"><b class="{tone}">{text(value)}</b><span>{text(word)}</span></div>' for value, word, tone in cards
    )
    head = "".join(f"<th>{text(each.name)}</th>" for each in report.figures)
    body = "".join(
        f"<tr><td>{text(label)}</td>{''.join(f'<td>{text(each)}</td>' for each in texts)}</tr>"
        for label, texts in rows_of(report.figures)
    )
    settings = "".join(f"<tr><td>{text(key)}</td><td>{text(value)}</td></tr>" for key, value in report.settings().items())
    images = "".join(
        f'<img alt="{text(path.stem)}" src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
        for path in plots
    )
    notes = "".join(f"<li>{text(each)}</li>" for each in (method_of(total), *report.remarks, *CAVEATS))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{text(report.strategy)}: backtest</title><style>{_STYLE}</style></head><body><main>
<h1>{text(report.strategy)}</h1>
<div class="dim">Backtest on {text(", ".join(market.parameters.name for market in report.result.markets))},
{_date(first_ns)} to {_date(last_ns)} UTC</div>
<div class="cards">{shown}</div>
{images}
<h2>Figures</h2><table><tr><th></th>{head}</tr>{body}</table>
<h2>What was assumed</h2><table class="words">{settings}</table>
<h2>How to read it</h2><ul>{notes}</ul>
<footer>crypto_trade · money in the settlement currency of each asset, counted in integers of 1e-8</footer>
</main></body></html>
"""


def _date(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
