"""`crypto-trade backtest` and `sweep` as somebody types them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hftbacktest", reason="needs the extra 'backtest'")
pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

import typer

from reactor.backtest.commands import backtest
from reactor.backtest.sweep_commands import sweep
from reactor.domain.errors import ConfigError, TradeError

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n"


def front_door(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reactor", *words], capture_output=True, text=True, timeout=300, cwd=ROOT,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_a_backtest_writes_a_page_plots_and_every_figure(small_market: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = ROOT / "deploy/config/obi-mm.yaml"
    backtest("obi-mm", data=[f"BTCUSDT={small_market}"], tick_size=["0.1"], lot_size=["0.001"], config=config, output=tmp_path)
    printed = capsys.readouterr().out
    assert "PnL net" in printed
    assert "queue model: power-prob3:3" in printed
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 1
    assert 'src="http' not in page
    assert "href=" not in page
    assert "none booked: no rate was given" in page
    assert "order_qty 0.004" in page, "the hosted strategy's parameters"
    assert (tmp_path / "equity.png").read_bytes().startswith(PNG)
    told = json.loads((tmp_path / "figures.json").read_text())
    figures = told["figures"][0]
    assert figures["fills"] == told["hftbacktest"][0]["num_trades"] > 0
    assert figures["pnl_net"] == pytest.approx(figures["pnl_gross"] - figures["fees"] + figures["funding"])
    assert "annualised" in told["method"]
    assert told["parameters"]["order_qty"] == 0.004
    assert told["parameters"]["stop_seconds"] == 10.0, "what was not given too"


def test_the_tables_hold_the_figures_the_account_and_every_fill(small_market: str, tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    backtest("obi-mm", data=[small_market], param=["window=30"], output=tmp_path, no_plots=True)
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert parquet.read_table(tmp_path / "figures.parquet").to_pylist() == figures
    points = parquet.read_table(tmp_path / "points.parquet").to_pylist()
    assert points[-1]["net_e8"] == figures[0]["pnl_net_e8"]
    assert points[-1]["net_e8"] == points[-1]["gross_e8"] - points[-1]["fees_e8"] + points[-1]["funding_e8"]
    assert parquet.read_table(tmp_path / "fills.parquet").num_rows == figures[0]["fills"]
    assert not (tmp_path / "equity.png").exists()


def test_without_data_it_makes_its_own_market_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    for word in ("generating 20 s of ETHUSDT", "generated before"):
        backtest("obi-mm", symbol="ETHUSDT", seconds=20.0, param=["order_qty=0.05"], output=tmp_path / "out", no_plots=True)
        assert word in capsys.readouterr().out


def test_two_assets_have_a_plot_each_and_one_together(small_market: str, tmp_path: Path):
    backtest(
        "obi-mm",
        data=[f"A={small_market}", f"B={small_market}"],
        param=["window=30"],
        output=tmp_path,
        maker_fee=["A=0", "B=0.001"],
    )
    assert {path.name for path in tmp_path.glob("*.png")} == {"equity.png", "equity_A.png", "equity_B.png"}
    a, b, both = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert (a["name"], b["name"], both["name"]) == ("A", "B", "all")
    assert a["pnl_gross"] == b["pnl_gross"]
    assert a["fees"] < b["fees"]
    assert both["pnl_net_e8"] == a["pnl_net_e8"] + b["pnl_net_e8"]


def test_a_strategy_of_ones_own_runs_from_its_file_and_the_cost_of_plain_python_is_told(
    small_market: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = Path(__file__).with_name("own_strategies.py")
    backtest(f"{file}:AtTheTouch", data=[small_market], param=["lots=2"], output=tmp_path, no_plots=True)
    assert "plain Python: " in capsys.readouterr().out


def test_funding_is_booked_when_a_rate_is_given(spot_days: list[str], tmp_path: Path):
    parameters = ["order_qty=0.001", "half_spread=0.5", "window=30"]
    backtest(
        "obi-mm", data=spot_days, param=parameters, funding_rate=0.01, funding_interval=8.0, output=tmp_path, no_plots=True
    )
    told = json.loads((tmp_path / "figures.json").read_text())
    assert len(told["funding"]) == 1, "midnight lies within the two days"
    assert told["figures"][0]["funding"] == told["funding"][0]["amount_e8"] / 1e8


REFUSED: dict[str, tuple[Callable[[str, Path], Any], str]] = {
    "an unknown strategy": (lambda data, out: backtest("nosuch", data=[data]), "called 'nosuch'; there are obi-mm"),
    "a strategy file that is not there": (lambda data, out: backtest("my.py", data=[data]), "my.py: No such file"),
    "a class that is not in it": (
        lambda data, out: backtest(f"{Path(__file__).with_name('own_strategies.py')}:Nobody", data=[data]), "no such class",
    ),
    "a wrong parameter name": (
        lambda data, out: backtest("obi-mm", data=[data], param=["spread=1"]), "called spread; there are .*half_spread",
    ),
    "a parameter that is no number": (lambda data, out: backtest("obi-mm", data=[data], param=["skew=x"]), "'x' is no number"),
    "a parameter without a value": (lambda data, out: backtest("obi-mm", data=[data], param=["skew"]), "write name=value"),
    "a missing file": (lambda data, out: backtest("obi-mm", data=["no.npz"], output=out), "no.npz: there is no such file"),
    "a wrong tick size": (lambda data, out: backtest("obi-mm", data=[data], tick_size=["0.3"], output=out), "stand on 0.1"),
    "a folder that cannot be written": (
        lambda data, out: backtest("obi-mm", data=[data], output=Path("/proc/nothing")), "choose a folder",
    ),
    "an unknown queue model": (lambda data, out: backtest("obi-mm", data=[data], queue="best"), "there are risk-averse, "),
    "an unknown latency": (lambda data, out: backtest("obi-mm", data=[data], latency="fast", output=out), "--latency fast"),
    "a fee in percent": (lambda data, out: backtest("obi-mm", data=[data], maker_fee=["2"]), "share of the notional"),
    "an unknown asset": (lambda data, out: backtest("obi-mm", data=[data], inverse=["Z"]), "there is no asset|no such asset"),
    "a config file that is not there": (
        lambda data, out: backtest("obi-mm", data=[data], config=Path("no.yaml")), "no.yaml: No such file",
    ),
    "a sweep without parameters": (lambda data, out: sweep("obi-mm", data=[data]), "--param: name what to try"),
    "a sweep over a wrong parameter": (
        lambda data, out: sweep("obi-mm", data=[data], param=["spread=1,2"]), "called spread; there are .*half_spread",
    ),
    "an unknown figure": (lambda data, out: sweep("obi-mm", data=[data], param=["skew=1"], sort="luck"), "no figure is called"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused_in_one_sentence(small_market: str, tmp_path: Path, what: str):
    call, words = REFUSED[what]
    with pytest.raises(TradeError, match=words) as refusal:
        call(small_market, tmp_path)
    assert "\n" not in str(refusal.value)


def test_the_front_door_says_one_sentence_and_exits_with_2(small_market: str, tmp_path: Path):
    truncated = tmp_path / "day.npz"
    truncated.write_bytes(Path(small_market).read_bytes()[:5000])
    ended = front_door("backtest", "obi-mm", "--data", str(truncated), "-o", str(tmp_path / "out"))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith(f"crypto-trade: {truncated}: is not a readable npz file")


@pytest.mark.parametrize(
    ("missing", "words"),
    [("hftbacktest", "crypto-trade[backtest]"), ("numba", "crypto-trade[backtest]"), ("matplotlib", "crypto-trade[plot]")],
)
def test_a_missing_extra_is_named_with_its_install(small_market: str, tmp_path: Path, missing: str, words: str):
    (tmp_path / missing).mkdir()
    (tmp_path / missing / "__init__.py").write_text(f"raise ModuleNotFoundError('hidden', name={missing!r})\n")
    ended = front_door("backtest", "obi-mm", "--data", small_market, "-o", str(tmp_path / "o"), PYTHONPATH=str(tmp_path))
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_sweep_prints_the_best_and_writes_every_row(small_market: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    sweep("obi-mm", data=[small_market], param=["window=30", "half_spread=0.5:1.5:0.5"], output=tmp_path, workers=1)
    assert "best by pnl_net" in capsys.readouterr().out
    rows = parquet.read_table(tmp_path / "results.parquet").to_pylist()
    assert [row["param_half_spread"] for row in rows] == [0.5, 1.0, 1.5]
    assert all(row["error"] is None and row["fills"] >= 0 for row in rows)


def test_a_sweep_by_dice_is_the_same_for_the_same_seed(small_market: str, tmp_path: Path):
    for folder in ("a", "b"):
        sweep(
            "obi-mm", data=[small_market], param=["window=30", "half_spread=0.1:2", "skew=0.01:1:log"], random=3, seed=5,
            output=tmp_path / folder, workers=1,
        )  # fmt: skip
    one, other = (sorted(json.loads(line)["key"] for line in (tmp_path / each / "done.jsonl").open()) for each in "ab")
    assert one == other
    assert len(one) == 3


def test_a_sweep_that_is_stopped_says_how_far_it_is(
    small_market: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from reactor.backtest import sweep_commands

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_commands, "run_sweep", stop)
    with pytest.raises(typer.Exit) as end:
        sweep("obi-mm", data=[small_market], param=["skew=1,2"], output=tmp_path)
    assert end.value.exit_code == 130
    assert "0 of 2 points are done; the same command goes on" in capsys.readouterr().out


def test_a_config_may_give_the_options_too(small_market: str, tmp_path: Path):
    config = tmp_path / "mine.yaml"
    config.write_text(f"parameters: {{window: 30}}\nbacktest: {{data: {small_market}, latency: '3', maker_fee: 0.0001}}\n")
    backtest("obi-mm", config=config, queue="risk-averse", output=tmp_path / "out", no_plots=True)
    settings = json.loads((tmp_path / "out" / "figures.json").read_text())["settings"]
    assert settings["order latency"].startswith("constant, 3 ms")
    assert settings["queue model"].startswith("risk-averse")
    config.write_text("backtest: {speed: 5}\n")
    with pytest.raises(ConfigError, match="no option is called speed; there are data, "):
        backtest("obi-mm", config=config)
