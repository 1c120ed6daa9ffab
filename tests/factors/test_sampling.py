"""Rows of recorded events become the book at equal distances of time; a plain twin keeps its books in dicts."""

import numpy as np
import pytest

from reactor._native import lib
from reactor.factors.sampling import EVENT_DTYPE, SAMPLE_DTYPE, sample

DEPTH, TRADE, CLEAR, SNAPSHOT = lib.EVENT_DEPTH, lib.EVENT_TRADE, lib.EVENT_DEPTH_CLEAR, lib.EVENT_DEPTH_SNAPSHOT
EXCH, LOCAL, BUY, SELL = lib.EVENT_EXCH, lib.EVENT_LOCAL, lib.EVENT_BUY, lib.EVENT_SELL
BOTH = EXCH | LOCAL


def rows(*listed: tuple[int, int, float, float]) -> np.ndarray:
    """(ev, local_ts, price, quantity)."""
    events = np.zeros(len(listed), EVENT_DTYPE)
    for row, (ev, now_ns, price, quantity) in zip(events, listed, strict=True):
        row["ev"], row["local_ts"], row["exch_ts"], row["px"], row["qty"] = ev, now_ns, now_ns - 1, price, quantity
    return events


def sampled(events: np.ndarray, **settings: float) -> list[tuple[int, ...]]:
    made = sample(events, 0.1, 0.001, **settings)  # type: ignore[arg-type]
    return list(zip(*(getattr(made, name).tolist() for name in SAMPLE_DTYPE.names or ()), strict=True))


START = [(DEPTH | BUY | BOTH, 100, 10.0, 0.005), (DEPTH | SELL | BOTH, 100, 10.1, 0.007)]


def test_the_grid_begins_when_both_sides_have_a_price_and_a_sample_shows_what_had_arrived_by_then():
    events = rows(
        (DEPTH | BUY | BOTH, 90, 10.0, 0.005),
        (DEPTH | SELL | BOTH, 100, 10.1, 0.007),
        (DEPTH | BUY | BOTH, 110, 10.0, 0.006),
        (DEPTH | BUY | BOTH, 111, 10.0, 0.004),
        (DEPTH | BUY | BOTH, 135, 10.0, 0.001),
    )
    assert [(now, bid_lots) for now, _, bid_lots, *_ in sampled(events, interval_ns=10)] == [
        (100, 5),
        (110, 6),
        (120, 4),
        (130, 4),
    ]


def test_without_an_interval_there_is_one_sample_per_distinct_time():
    events = rows(
        *START,
        (DEPTH | BUY | BOTH, 110, 10.0, 0.006),
        (DEPTH | BUY | BOTH, 110, 9.9, 0.002),
        (TRADE | BUY | BOTH, 120, 10.1, 0.001),
    )
    assert [(now, bid_lots) for now, _, bid_lots, *_ in sampled(events)] == [(100, 5), (110, 6)]


def test_rows_of_the_exchange_side_alone_are_not_seen():
    events = rows(
        *START,
        (DEPTH | BUY | EXCH, 101, 10.0, 0.050),
        (DEPTH | BUY | LOCAL, 102, 10.0, 0.006),
        (DEPTH | BUY, 104, 10.0, 0.008),
        (TRADE | BUY | BOTH, 130, 10.1, 0.001),
    )
    assert [lots for _, _, lots, *_ in sampled(events, interval_ns=2)][:4] == [5, 6, 8, 8]


def test_a_clear_deletes_from_the_best_price_up_to_its_own():
    events = rows(
        *START,
        (DEPTH | BUY | BOTH, 100, 9.9, 0.002),
        (DEPTH | BUY | BOTH, 100, 9.8, 0.003),
        (CLEAR | BUY | BOTH, 110, 9.9, 0.0),
        (TRADE | BUY | BOTH, 130, 10.1, 0.001),
    )
    assert [(bid, lots) for _, bid, lots, *_ in sampled(events, interval_ns=10)] == [(100, 5), (98, 3), (98, 3)]


def test_depth_within_a_share_of_the_mid_and_the_trades_between_two_samples_are_counted():
    events = rows(
        *START,
        (SNAPSHOT | BUY | BOTH, 100, 9.0, 0.011),
        (SNAPSHOT | SELL | BOTH, 100, 10.2, 0.013),
        (TRADE | BUY | BOTH, 101, 10.1, 0.004),
        (TRADE | SELL | BOTH, 102, 10.0, 0.001),
        (TRADE | SELL | BOTH, 115, 10.0, 0.002),
        (DEPTH | BUY | BOTH, 125, 9.9, 0.001),
    )
    made = sampled(events, interval_ns=10, looking_depth=0.05)
    assert [row[5:] for row in made] == [(5, 20, 0), (5, 20, 3), (5, 20, -2)]


def test_another_dtype_is_refused_by_its_name():
    with pytest.raises(ValueError, match="hftbacktest"):
        sample(np.zeros(3), 0.1, 0.001)


def test_no_rows_make_no_samples():
    assert len(sample(np.zeros(0, EVENT_DTYPE), 0.1, 0.001)) == 0


def test_more_samples_than_one_call_takes_are_all_there():
    events = rows(*START, (DEPTH | BUY | BOTH, 200_100, 10.0, 0.001))
    assert len(sampled(events, interval_ns=1)) == 200_000
