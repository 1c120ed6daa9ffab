"""The benchmark of backtests still runs, and everybody in it still takes the same trades."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("hftbacktest", reason="needs the extra 'backtest'")

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_compares_equal_trades(small_market: str):
    main = runpy.run_path(str(ROOT / "bench/backtest.py"))["main"]
    assert set(main(runs=1, files=(small_market,))) == {"btcusdt.npz"}
