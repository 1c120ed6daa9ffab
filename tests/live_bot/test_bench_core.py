"""The benchmark of the live bot still runs, and still does its work."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the extra `backtest` is not installed")

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_measures_every_call() -> None:
    found = runpy.run_path(str(ROOT / "bench/micro/live_bot/bench_core.py"))["main"](1)
    assert set(found) == {"nothing", "look", "walk", "wait", "pump per delta"}
    assert all(ns > 0 for name, ns in found.items() if name != "nothing")
