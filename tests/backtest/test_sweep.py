"""Many trials: on cores, on a cluster, stopped and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hftbacktest", reason="needs the extra 'backtest'")

from reactor.backtest.choice import choose
from reactor.backtest.grid import axes_of, grid, key_of
from reactor.backtest.parameters import AssetParameters, BacktestParameters
from reactor.backtest.sweep import Done, Job, Row, run_point, sweep
from reactor.backtest.sweep_commands import ranked
from reactor.domain.errors import ConfigError

BASE = {"window": 30, "volatility_samples_min": 5}
POINTS = list(grid(axes_of(["half_spread=0.5,1,2", "skew=0:1:0.5"])))


@pytest.fixture
def job(small_market: str) -> Job:
    asset = AssetParameters("X", (small_market,), tick_size=0.1, lot_size=0.001)
    return Job(choose("obi-mm").with_parameters(BASE), BacktestParameters((asset,)))


def swept(directory: Path, job: Job, points: list[Any], **how: Any) -> tuple[dict[str, Row], list[Row]]:
    """(everything that is done, what this call did)."""
    new: list[Row] = []
    done = Done(directory, job)
    try:
        sweep(job, points, done, on_row=new.append, **how)
    finally:
        done.close()
    return done.rows, new


def figures(rows: dict[str, Row]) -> dict[str, Any]:
    return {key: {name: value for name, value in row["figures"].items() if name != "name"} for key, row in rows.items()}


def test_a_grid_on_two_processes_gives_what_each_trial_gives_alone(job: Job, tmp_path: Path):
    rows, new = swept(tmp_path, job, POINTS, workers=2)
    assert set(rows) == {key_of(point) for point in POINTS}
    assert len(new) == len(POINTS)
    assert figures(rows) == figures({key_of(point): run_point(job, point) for point in POINTS})
    assert len({row["figures"]["pnl_net_e8"] for row in rows.values()}) > 1, "the parameters matter"


def test_what_is_done_is_not_done_again(job: Job, tmp_path: Path):
    first, _ = swept(tmp_path, job, POINTS[:4], workers=1)
    rows, new = swept(tmp_path, job, POINTS, workers=1)
    assert [row["point"] for row in new] == POINTS[4:]
    assert set(first) < set(rows)
    assert swept(tmp_path, job, POINTS, workers=1)[1] == []


def test_a_line_torn_by_a_kill_is_done_again(job: Job, tmp_path: Path):
    swept(tmp_path, job, POINTS[:3], workers=1)
    path = tmp_path / "done.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    rows, new = swept(tmp_path, job, POINTS[:3], workers=1)
    assert [row["point"] for row in new] == POINTS[2:3]
    assert len(rows) == len(path.read_text().splitlines()) == 3


def test_a_point_that_cannot_be_is_a_row_that_says_why(job: Job, tmp_path: Path):
    points = list(grid(axes_of(["order_qty=0.0001,0.002"])))
    rows, _ = swept(tmp_path, job, points, workers=1)
    assert "less than one lot" in rows[key_of(points[0])]["error"]
    assert "figures" in rows[key_of(points[1])]


def test_a_folder_with_another_sweep_is_refused(job: Job, tmp_path: Path):
    swept(tmp_path, job, POINTS[:1], workers=1)
    with pytest.raises(ConfigError, match="holds a sweep with other settings"):
        Done(tmp_path, Job(job.choice.with_parameters({"window": 31}), job.parameters))
    Done(tmp_path, Job(job.choice.with_parameters({"window": 31}), job.parameters), is_fresh=True).close()
    assert (tmp_path / "done.jsonl").read_text() == ""


@pytest.mark.long
def test_a_sweep_that_is_killed_goes_on_where_it_was(small_market: str, tmp_path: Path):
    command = [
        sys.executable, "-m", "reactor", "sweep", "obi-mm", "--data", small_market, "-o", str(tmp_path), "--workers", "2",
        "--param", "window=30", "--param", "skew=0:1:0.005",
    ]  # fmt: skip
    done = tmp_path / "done.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 300
    while not (done.is_file() and done.read_bytes().count(b"\n") >= 10):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "ten trials in five minutes"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = done.read_bytes().count(b"\n")
    finished = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    lines = done.read_text().splitlines()
    assert before < 201
    assert "of them are done already" in finished.stdout
    assert len(lines) == len({json.loads(line)["key"] for line in lines}) == 201


@pytest.fixture
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="needs the extra 'cluster'")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


@pytest.mark.long
def test_a_dask_cluster_of_processes_gives_the_same(job: Job, tmp_path: Path, cluster: Any):
    rows, new = swept(tmp_path, job, POINTS[:4], scheduler=cluster.scheduler_address)
    assert len(new) == 4
    assert figures(rows) == figures({key_of(point): run_point(job, point) for point in POINTS[:4]})


def test_a_scheduler_that_does_not_answer_is_one_sentence(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    distributed = pytest.importorskip("distributed", reason="needs the extra 'cluster'")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(ConfigError, match=r"--scheduler tcp://nowhere:1: does not answer \(timed out\)"):
        swept(tmp_path, job, POINTS[:1], scheduler="tcp://nowhere:1")


def test_the_best_stand_first_and_what_has_no_figure_last():
    rows: list[Row] = [
        {"key": "a", "figures": {"pnl_net": 1.0, "drawdown_max": 5.0, "sharpe": None}},
        {"key": "b", "error": "no"},
        {"key": "c", "figures": {"pnl_net": 3.0, "drawdown_max": 9.0, "sharpe": 1.0}},
    ]
    assert [row["key"] for row in ranked(rows, "pnl_net")] == ["c", "a", "b"]
    assert [row["key"] for row in ranked(rows, "drawdown_max")] == ["a", "c", "b"]
    assert ranked(rows, "sharpe")[0]["key"] == "c"
