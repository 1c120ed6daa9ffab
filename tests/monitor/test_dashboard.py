"""What a person sees while it runs."""

import io

import pytest
from rich.console import Console

from reactor.monitor.dashboard import Dashboard
from reactor.monitor.reader import Picture, PositionRow, RoleRow, TopRow
from reactor.monitor.report import Percentiles

NAMES = [f"binance_{venue}:{coin}USDT" for venue in ("spot", "usdm") for coin in ("BTC", "ETH")]
RISK = dict.fromkeys(
    [
        "pairs_opened",
        "pairs_closed",
        "orders",
        "fills",
        "rejects",
        "refusals",
        "realised_pnl_e8",
        "unrealised_pnl_e8",
        "fees_e8",
        "funding_e8",
        "net_exposure_e8",
        "equity_e8",
        "open_orders",
    ],
    1_234_567,
)


def _picture() -> Picture:
    return Picture(
        roles=[
            RoleRow(name, name, 100, "running", "block", 3.0, 0, 1_000_000, {}, "", 41.0, 70.0)
            for name in ("engine", "prepost", "collector", "feed-0", "feed-1", "journal", "sim")
        ],
        tops=[TopRow(name, "feed-0", 65_000.1, 65_000.2, 65_000.0, 0.0001, 3.0, True, 1, 2, 0.1) for name in NAMES],
        positions=[PositionRow(name, -0.123, -123, 10**10, 10**8, 0, 0, "HEDGED_OPEN", -1, 2, False, 3, 4) for name in NAMES],
        risk=RISK,
        kill_switch="RUNNING",
        latency_us={"internal": Percentiles(90.0, 250.0, 400.0, 900.0, 1234)},
    )


def _lines(width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None, record=True)
    dashboard = Dashboard("generated · paper", console)
    for number in range(9):
        dashboard.say(f"sentence {number} that a person should read, and that is rather longer than a small terminal is wide")
    dashboard.show(_picture(), "running 12 s of 40 s")
    console.print(dashboard._draw(_picture(), "running 12 s of 40 s"))
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (80, 50), (200, 60)])
def test_the_live_view_fits_the_terminal(width: int, height: int) -> None:
    lines = _lines(width, height)
    assert len(lines) <= height
    assert all(len(line.rstrip()) <= width for line in lines)
    assert any("65,000.10" in line and "binance_spot:BTCUSDT" in line for line in lines)
    assert any("90" in line and ("tick" in line or "internal" in line) for line in lines)
