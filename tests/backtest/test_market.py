"""Event files → markets: what is refused, and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reactor.backtest.market import open_market
from reactor.backtest.parameters import AssetParameters
from reactor.data.npz import load_npz, save_npz
from reactor.domain.errors import DataError


def asset(path: Path | str, tick_size: float = 0.0, lot_size: float = 0.0) -> AssetParameters:
    return AssetParameters("X", (str(path),), tick_size=tick_size, lot_size=lot_size)


def damaged(source: str, path: Path, change: Callable[[Any], Any]) -> AssetParameters:
    save_npz(path, change(load_npz(source).copy()))
    return asset(path)


def backwards(events: Any) -> Any:
    events["local_ts"][-2000:] = events["local_ts"][-2000:][::-1]
    return events


def test_steps_that_are_not_given_are_told_from_the_data(small_market: str):
    market = open_market(asset(small_market))
    assert (market.parameters.tick_size, market.parameters.lot_size) == (0.1, 0.001)
    assert market.is_tick_told


def test_the_book_begins_to_be_believed_at_the_first_snapshot(small_market: str):
    market = open_market(asset(small_market, 0.1, 0.001))
    assert market.has_snapshot
    assert market.first_ns < market.start_ns < market.first_ns + 1_000_000_000


def test_the_book_reaches_a_tenth_beyond_the_prices_traded(small_market: str):
    market = open_market(asset(small_market, 0.1, 0.001))
    events = market.events[0]
    traded = events["px"][(events["ev"] & np.uint64(0xFF)) == 2]
    assert market.lower_ticks * 0.1 == pytest.approx(traded.min() * 0.9, abs=0.2)
    assert market.upper_ticks * 0.1 == pytest.approx(traded.max() * 1.1, abs=0.2)


@pytest.mark.parametrize(
    ("tick_size", "lot_size", "words"),
    [
        (0.5, 0.001, "--tick-size 0.5: the price .* is no multiple of it; the data stand on 0.1"),
        (0.01, 0.001, "--tick-size 0.01: every price in .* stands on steps of 0.1"),
        (-0.1, 0.001, "--tick-size -0.1: must be greater than 0"),
        (float("nan"), 0.001, "--tick-size nan: must be greater than 0"),
        (0.1, 0.01, "--lot-size 0.01: the traded quantity .* is no multiple of it; the data stand on 0.001"),
    ],
)
def test_a_wrong_step_is_refused_with_the_right_one(small_market: str, tick_size: float, lot_size: float, words: str):
    with pytest.raises(DataError, match=words):
        open_market(asset(small_market, tick_size, lot_size))


def test_a_finer_lot_than_the_data_have_is_no_mistake(small_market: str):
    assert open_market(asset(small_market, 0.1, 0.0001)).parameters.lot_size == 0.0001


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda events: events[:0], "holds no events"),
        (backwards, "out of order at row"),
        (lambda events: events[(events["ev"] & np.uint64(0xFF)) != 2], "holds no trades"),
        (lambda events: events[(events["ev"] & np.uint64(0xFF)) == 2], "holds no depth updates"),
    ],
    ids=["empty", "unsorted", "no trades", "no depth"],
)
def test_data_that_cannot_be_backtested_are_refused_by_what_they_lack(
    small_market: str, tmp_path: Path, change: Callable[[Any], Any], words: str
):
    with pytest.raises(DataError, match=words):
        open_market(damaged(small_market, tmp_path / "x.npz", change))


def test_a_truncated_file_is_one_sentence(small_market: str, tmp_path: Path):
    path = tmp_path / "x.npz"
    path.write_bytes(Path(small_market).read_bytes()[:5000])
    with pytest.raises(DataError, match="is not a readable npz file"):
        open_market(asset(path))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path):
    with pytest.raises(DataError, match="there is no such file"):
        open_market(asset(tmp_path / "x.npz"))


def test_hftbacktest_opens_our_files_by_itself(small_market: str):
    hftbacktest = pytest.importorskip("hftbacktest", reason="needs the extra 'backtest'")
    wanted = hftbacktest.BacktestAsset().data(small_market).linear_asset(1.0).tick_size(0.1).lot_size(0.001)
    hbt = hftbacktest.HashMapMarketDepthBacktest([wanted])
    assert hbt.elapse(2_000_000_000) == 0
    assert hbt.depth(0).best_bid_tick > 0
