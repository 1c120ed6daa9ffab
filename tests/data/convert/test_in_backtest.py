"""Our event files in hftbacktest's own backtester: the same fills and the same money as with its files."""

from pathlib import Path
from typing import Any

import pytest

from reactor.data.convert.sample import generate_sample
from reactor.data.convert.tardis import convert_tardis
from reactor.data.npz import save_npz

pytestmark = pytest.mark.long  # numba compiles the backtester first.


def played(path: Path, hftbacktest: Any) -> tuple[float, ...]:
    """A maker that quotes both sides at the best prices: its position, balance, fees, volume and trades at the end."""
    numba = pytest.importorskip("numba", reason="the extra `backtest` is not installed")

    @numba.njit  # type: ignore[untyped-decorator]
    def quote(hbt: Any) -> None:
        number = 0
        while hbt.elapse(10_000_000_000) == 0:
            hbt.clear_inactive_orders(0)
            orders = hbt.orders(0).values()
            while orders.has_next():
                order = orders.get()
                if order.cancellable:
                    hbt.cancel(0, order.order_id, False)
            depth = hbt.depth(0)
            number += 2
            hbt.submit_buy_order(0, number, depth.best_bid, 0.01, hftbacktest.GTX, hftbacktest.LIMIT, False)
            hbt.submit_sell_order(0, number + 1, depth.best_ask, 0.01, hftbacktest.GTX, hftbacktest.LIMIT, False)

    asset = (
        hftbacktest.BacktestAsset().data([str(path)]).linear_asset(1.0).constant_order_latency(10_000_000, 10_000_000)
        .risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0.0002, 0.0007)
        .tick_size(0.1).lot_size(0.001)
    )  # fmt: skip
    hbt = hftbacktest.HashMapMarketDepthBacktest([asset])
    quote(hbt)
    state = hbt.state_values(0)
    result = (
        state.position,
        state.balance,
        state.fee,
        state.trading_volume,
        float(state.num_trades),
        float(hbt.current_timestamp),
    )
    hbt.close()
    return result


def test_the_same_backtest_ends_with_the_same_money(tmp_path: Path) -> None:
    hftbacktest = pytest.importorskip("hftbacktest", reason="the extra `backtest` is not installed")
    tardis = pytest.importorskip("hftbacktest.data.utils.tardis", reason="the extra `backtest` is not installed")
    paths = [str(path) for path in generate_sample(tmp_path, 60_000) if "book_ticker" not in path.name]
    save_npz(tmp_path / "ours.npz", convert_tardis(paths)[0])
    tardis.convert(paths, str(tmp_path / "theirs.npz"))
    ours, theirs = (played(tmp_path / f"{who}.npz", hftbacktest) for who in ("ours", "theirs"))
    assert ours == theirs
    assert ours[4] > 10, "it traded"
