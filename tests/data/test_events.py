"""Event rows against a naive twin: hftbacktest's rules written plainly."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor._native import ffi, lib
from reactor.data.events import (
    EVENT_DTYPE,
    EXCH_EVENT,
    LOCAL_EVENT,
    SLOW_ROW_NS,
    SLOW_ROWS_MIN,
    EventArray,
    Rows,
    correct_event_order,
    correct_local_timestamp,
    validate_event_order,
)


def rows_of(times: list[tuple[int, int]]) -> EventArray:
    """One row per (exch_ts, local_ts); equal times are equal rows, as hftbacktest asks for."""
    rows = np.zeros(len(times), EVENT_DTYPE)
    rows["exch_ts"], rows["local_ts"] = zip(*times, strict=True) if times else ((), ())
    rows["px"] = rows["exch_ts"] * 1000 + rows["local_ts"]
    return rows


def naive_order(rows: EventArray) -> list[tuple[int, int, int]]:
    by_exch = sorted(range(len(rows)), key=lambda i: int(rows[i]["exch_ts"]))
    by_local = sorted(range(len(rows)), key=lambda i: int(rows[i]["local_ts"]))
    times = [(int(row["exch_ts"]), int(row["local_ts"])) for row in rows]
    out = []
    while by_exch or by_local:
        exch = times[by_exch[0]] if by_exch else None
        local = times[by_local[0]] if by_local else None
        if exch is not None and exch == local:
            out.append((EXCH_EVENT | LOCAL_EVENT, *exch))
            by_exch.pop(0)
            by_local.pop(0)
        elif exch is not None and (local is None or exch < local):
            out.append((EXCH_EVENT, *exch))
            by_exch.pop(0)
        else:
            assert local is not None
            out.append((LOCAL_EVENT, *local))
            by_local.pop(0)
    return out


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_any_disorder_is_ordered_as_the_plain_rule_orders_it(times: list[tuple[int, int]]) -> None:
    ordered = correct_event_order(rows_of(times))
    assert [(int(row["ev"]), int(row["exch_ts"]), int(row["local_ts"])) for row in ordered] == naive_order(rows_of(times))
    validate_event_order(ordered)


def test_rows_in_order_stay_and_carry_both_flags() -> None:
    ordered = correct_event_order(rows_of([(1, 2), (1, 2), (3, 4)]))
    assert list(ordered["ev"]) == [EXCH_EVENT | LOCAL_EVENT] * 3


def test_a_negative_latency_moves_every_local_time_and_a_positive_one_moves_none() -> None:
    rows = rows_of([(10, 5), (20, 30)])
    assert correct_local_timestamp(rows, base_latency_ns=7) == 12
    assert list(rows["local_ts"]) == [17, 42]
    assert correct_local_timestamp(rows, base_latency_ns=7) == 0
    assert list(rows["local_ts"]) == [17, 42]


def test_disorder_is_named_with_its_clock_and_row() -> None:
    rows = rows_of([(1, 1), (3, 3), (2, 4)])
    rows["ev"] = EXCH_EVENT | LOCAL_EVENT
    with pytest.raises(ValueError, match="exchange events are out of order at row 2"):
        validate_event_order(rows)


@given(
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12).map(
            lambda value: f"{value:f}"
        ),
        st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?", fullmatch=True),
    )
)
def test_a_number_has_the_bits_that_python_gives_it(text: str) -> None:
    used = ffi.new("uint64_t *")
    raw = text.encode()
    value = lib.events_parse_double(raw, len(raw), used)
    assert used[0] == len(raw)
    assert np.float64(value).tobytes() == np.float64(float(text)).tobytes()


def test_where_the_host_is_slow_with_huge_pages_small_ones_serve_the_rest() -> None:
    rows = Rows(1 << 16)
    rows.on_written(SLOW_ROWS_MIN, SLOW_ROWS_MIN * SLOW_ROW_NS)
    assert "hg" in vm_flags(rows)
    rows.on_written(SLOW_ROWS_MIN, 2 * SLOW_ROWS_MIN * SLOW_ROW_NS)
    assert "nh" in vm_flags(rows)


def vm_flags(rows: Rows) -> list[str]:
    """Of the mapping that the rows stand in: "hg" wants huge pages, "nh" refuses them."""
    address, is_ours = rows.take_array().ctypes.data, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split(maxsplit=1)[0]
        if "-" in head:
            begin, end = (int(each, 16) for each in head.split("-"))
            is_ours = begin <= address < end
        elif is_ours and head == "VmFlags:":
            return line.split()
    raise AssertionError("an array has a mapping")


def test_memory_of_rows_that_are_gone_serves_the_next_but_not_while_anything_looks_at_it() -> None:
    rows = Rows()
    rows.count = 1
    part = rows.take_array()["px"]
    part[0] = 25.5
    address = rows.take_array().ctypes.data
    del rows
    others = [Rows() for _ in range(8)]
    assert address not in [other.take_array().ctypes.data for other in others]
    assert part[0] == 25.5
    del part
    assert Rows().take_array().ctypes.data == address
