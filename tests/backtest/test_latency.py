"""How long orders take."""

from pathlib import Path

import numpy as np
import pytest

from reactor.backtest.latency import latency_model
from reactor.backtest.market import Market, open_market
from reactor.backtest.parameters import AssetParameters
from reactor.domain.errors import ConfigError, DataError


@pytest.fixture
def market(small_market: str) -> Market:
    return open_market(AssetParameters("X", (small_market,)))


def test_one_number_is_both_ways_and_two_are_there_and_back(market: Market):
    both, two = latency_model("1.5", market), latency_model("0.5,2", market)
    assert (both.entry_ns, both.response_ns) == (1_500_000, 1_500_000)
    assert (two.entry_ns, two.response_ns) == (500_000, 2_000_000)


def test_the_feeds_latency_is_sampled_and_may_be_stretched(market: Market):
    rows, twice = latency_model("feed", market).rows, latency_model("feed:2,1", market).rows
    assert rows is not None
    assert twice is not None
    assert len(rows) > 100
    for found in (rows, twice):
        assert (np.diff(found["req_ts"]) > 0).all()
        assert (np.diff(found["exch_ts"]) > 0).all()
        assert (found["resp_ts"] >= found["exch_ts"]).all()
    plain, stretched = rows["exch_ts"] - rows["req_ts"], twice["exch_ts"] - twice["req_ts"]
    assert np.median(stretched) > 1.9 * np.median(plain)


def test_measured_latencies_come_from_a_file(market: Market, tmp_path: Path):
    path = tmp_path / "orders.csv"
    path.write_text("req,exch,resp\n2000,2500,2600\n1000,1300,1500\n3000,0,3900\n")
    rows = latency_model(str(path), market).rows
    assert rows is not None
    assert rows["req_ts"].tolist() == [1000, 2000, 3000]
    assert rows["exch_ts"].tolist() == [1300, 2500, 0]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("1,2\n3,4\n", "is not req_ns,exch_ns,resp_ns"),
        ("1000,900,1500\n2000,2100,2200\n", "answered before it was sent"),
        ("1000,1100,1200\n", "fewer than two"),
    ],
)
def test_a_file_of_nonsense_is_refused(market: Market, tmp_path: Path, lines: str, words: str):
    path = tmp_path / "orders.csv"
    path.write_text("a,b,c\n" + lines)
    with pytest.raises(DataError, match=words):
        latency_model(str(path), market)


@pytest.mark.parametrize("text", ["fast", "-1", "1,2,3", "feed:x", "nan", ""])
def test_a_latency_that_is_none_is_refused_with_what_there_is(market: Market, text: str):
    with pytest.raises(ConfigError, match="--latency"):
        latency_model(text, market)
