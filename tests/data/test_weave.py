"""Rows that are merged while they come stand as if all had been sorted and merged at once."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from reactor.data import weave
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.events import EVENT_DTYPE, EventArray, Rows, correct_event_order
from reactor.data.weave import Measured, Source, Weave, weave_into

SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def small_staging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows move often."""
    monkeypatch.setattr(weave, "STAGING_ROWS", 40)


def lane(dice: random.Random, count: int, back_ns: int, local_back_ns: int) -> EventArray:
    """Rows whose exchange times go back by up to `back_ns`, local ones by `local_back_ns` + 5; with many equal times."""
    rows = np.zeros(count, EVENT_DTYPE)
    now = 1_000 * SECOND_NS
    for number in range(count):
        now += dice.choice((0, 0, 1, SECOND_NS // 100))
        rows[number]["exch_ts"] = now - dice.choice((0, 0, 0, 1, back_ns))
        rows[number]["local_ts"] = now + dice.choice((5, 5, -local_back_ns))
        rows[number]["px"] = number
    return rows


def woven(lanes: list[EventArray], piece: int = 13, shift_ns: int = 0) -> tuple[EventArray, Measured]:
    def open_all(statistics: ConversionStatistics) -> list[Source]:
        sources = []
        for rows in lanes:
            staging = Rows(1 << 16)

            def parts(rows: EventArray = rows, staging: Rows = staging) -> Iterator[None]:
                for start in range(0, len(rows), piece):
                    part = rows[start : start + piece]
                    staging.count += len(part)
                    staging.part(staging.count - len(part))[:] = part
                    yield

            sources.append(Source(staging, parts()))
        return sources

    out = Rows(1 << 20)
    measured = weave_into(out, open_all, lambda _: shift_ns)
    return out.take_array(), measured


@pytest.mark.parametrize("seed", range(30))
def test_the_result_is_that_of_sorting_everything_at_once(seed: int) -> None:
    dice = random.Random(seed)
    back_ns = dice.choice((0, 1, SECOND_NS, 9 * SECOND_NS, 40 * SECOND_NS))
    local_back_ns = dice.choice((-5, -5, -5, 3, SECOND_NS))
    lanes = [lane(dice, dice.randint(0, 900), back_ns, local_back_ns) for _ in range(dice.randint(1, 4))]
    events, measured = woven(lanes, dice.choice((1, 7, 100, 5000)))
    expected = correct_event_order(np.concatenate(lanes))
    assert events.tobytes() == expected.tobytes()
    assert (measured.read, measured.written) == (sum(map(len, lanes)), len(expected))


def test_rows_within_the_window_are_read_once_and_later_ones_twice() -> None:
    readings = []
    for back_ns in (4 * SECOND_NS, 6 * SECOND_NS):
        rows = lane(random.Random(1), 2000, back_ns, -5)
        opened = 0

        def open_all(statistics: ConversionStatistics, rows: EventArray = rows) -> list[Source]:
            nonlocal opened
            opened += 1
            staging = Rows(1 << 16)

            def parts() -> Iterator[None]:
                for row in rows:
                    staging.count += 1
                    staging.part(staging.count - 1)[0] = row
                    yield

            return [Source(staging, parts())]

        weave_into(Rows(1 << 16), open_all, lambda _: 0)
        readings.append(opened)
    assert readings == [1, 2]


def test_staging_does_not_grow_with_the_file() -> None:
    rows = lane(random.Random(2), 5000, SECOND_NS // 50, -5)
    staging = Rows(1 << 16)
    most = 0

    def parts() -> Iterator[None]:
        nonlocal most
        for start in range(0, len(rows), 10):
            staging.count += 10
            staging.part(staging.count - 10)[:] = rows[start : start + 10]
            most = max(most, staging.count)
            yield

    for _ in Weave(lambda _: [Source(staging, parts())], [(SECOND_NS // 50, 0)]).run(None):
        pass
    assert most < 200


def test_every_local_time_is_moved_by_what_the_smallest_latency_asks_for() -> None:
    rows = lane(random.Random(3), 100, 0, 7)
    events, _ = woven([rows], shift_ns=1000)
    assert set(events["local_ts"]) == set(rows["local_ts"] + 1000)


def test_no_rows_at_all_give_an_empty_result() -> None:
    events, measured = woven([])
    assert len(events) == 0
    assert measured.read == measured.written == 0
