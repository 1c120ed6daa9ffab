"""How long orders take."""

import sqlite3
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


def test_measured_latencies_of_the_datas_own_time_are_taken_as_they_are(market: Market, tmp_path: Path):
    path, first = tmp_path / "orders.csv", market.first_ns
    lines = [
        (first + 2000, first + 2500, first + 2600),
        (first + 1000, first + 1300, first + 1500),
        (first + 3000, 0, first + 3900),
    ]
    path.write_text("req,exch,resp\n" + "".join(f"{req},{exch},{resp}\n" for req, exch, resp in lines))
    model = latency_model(str(path), market)
    assert model.rows is not None
    assert (model.rows["req_ts"] - first).tolist() == [1000, 2000, 3000]
    assert (model.rows["exch_ts"][:2] - first).tolist() == [1300, 2500]
    assert model.rows["exch_ts"][2] == 0, "refused without a look"
    assert "again and again" not in model.words


def test_latencies_of_another_time_are_played_over_the_data_again_and_again(market: Market, tmp_path: Path):
    path, second = tmp_path / "orders.csv", 1_000_000_000
    path.write_text(f"{second},{second + 5},{second + 9}\n{3 * second},{3 * second + 7},{3 * second + 20}\n")
    model = latency_model(str(path), market)
    rows = model.rows
    assert rows is not None
    assert "again and again" in model.words
    assert rows["req_ts"][0] == market.first_ns
    assert rows["req_ts"][-1] > market.last_ns - 3 * second
    assert (np.diff(rows["req_ts"]) > 0).all()
    assert set((rows["exch_ts"] - rows["req_ts"]).tolist()) == {5, 7}
    assert set((rows["resp_ts"] - rows["exch_ts"]).tolist()) == {4, 13}


def test_a_journal_of_ours_tells_how_long_answers_took(market: Market, tmp_path: Path):
    path = tmp_path / "journal.sqlite"
    journal = sqlite3.connect(path)
    journal.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, order_id INTEGER, event TEXT, wall_ns INTEGER)")
    first = market.first_ns
    life = [(1, "submit", 10), (2, "submit", 20), (1, "ack", 110), (2, "reject", 420), (1, "fill", 900), (3, "submit", 950)]
    journal.executemany(
        "INSERT INTO orders (order_id, event, wall_ns) VALUES (?, ?, ?)", [(o, e, first + t) for o, e, t in life]
    )
    journal.commit()
    journal.close()
    rows = latency_model(str(path), market).rows
    assert rows is not None
    assert [tuple(value - first for value in row[:3]) for row in rows.tolist()] == [(10, 60, 110), (20, 220, 420)]


def test_a_file_that_is_no_journal_is_refused(market: Market, tmp_path: Path):
    path = tmp_path / "journal.sqlite"
    with pytest.raises(DataError, match="No such file"):
        latency_model(str(path), market)
    path.write_text("hello, hello, hello")
    with pytest.raises(DataError, match="is no journal of ours"):
        latency_model(str(path), market)


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
