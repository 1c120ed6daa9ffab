"""The format of external signals: what is documented is what is taken, and nothing else."""

import struct
from typing import Any

import pytest
from collector_bench import INSTRUMENTS, PAIRS, PERPETUAL, SPOT
from hypothesis import given
from hypothesis import strategies as st

from reactor.collector.external_message import FIXED, MESSAGE_BYTES_MAX, Decoder, DecoderParameters, Refusal, encode
from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR, SignalType, Stage, new, signal_index

NOW_NS = 5_000_000_000
WALL_NS = 1_764_000_000_000_000_000
SPOT_NAME, PERPETUAL_NAME = "binance_spot:BTCUSDT", "binance_usdm:BTCUSDT"


def decoder(token: bytes = b"", **parameters: Any) -> Decoder:
    return Decoder(DecoderParameters(**parameters), INSTRUMENTS, PAIRS, 0x7000 << 48, token)


def decode(raw: bytes, by: Decoder | None = None) -> tuple[Refusal, Any]:
    signal = new("signal")
    return (by or decoder()).decode(raw, signal, NOW_NS, WALL_NS), signal


def message(**changes: Any) -> bytes:
    wanted: dict[str, Any] = {
        "signal_type": SignalType.ADAPTIVE_SPREAD_DEVIATION, "values": [0.002, 0.9, -0.002, 0.1],
        "time_ns": WALL_NS - 3_000_000,
        "name": SPOT_NAME, "hedge_name": PERPETUAL_NAME, "producer": 7, "exchange_ns": 42,
    }  # fmt: skip
    wanted.update(changes)
    return encode(wanted.pop("signal_type"), wanted.pop("values"), **wanted)


def test_a_message_becomes_the_signal_it_describes() -> None:
    refusal, signal = decode(message(sequence=9))
    header = signal.header
    assert refusal == Refusal.NONE
    assert (header.kind, header.instrument_index, header.hedge_instrument_index, header.pair_id) == (0, SPOT, PERPETUAL, 0)
    assert (header.source, header.sequence, header.exchange_ns) == (7, 9, 42)
    assert signal.signal_index == signal_index(0, SPOT)
    assert signal.value_count == 4
    assert list(signal.values)[:5] == [0.002, 0.9, -0.002, 0.1, 0.0]


def test_age_counts_from_when_the_signal_was_made() -> None:
    _, signal = decode(message())
    assert signal.header.stage_ns[Stage.SIGNAL] == NOW_NS - 3_000_000
    assert signal.header.stage_ns[Stage.RECEIVE] == NOW_NS


def test_every_signal_has_an_id_of_its_own() -> None:
    by = decoder()
    ids = [int(decode(message(), by)[1].header.signal_id) for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(signal_id >> 48 == 0x7000 for signal_id in ids)


def test_an_instrument_may_be_named_by_its_index() -> None:
    refusal, signal = decode(message(name="", hedge_name="", instrument_index=SPOT, hedge_instrument_index=PERPETUAL))
    assert refusal == Refusal.NONE
    assert (signal.header.instrument_index, signal.header.hedge_instrument_index) == (SPOT, PERPETUAL)


def test_a_signal_of_the_users_own_needs_no_hedge_leg() -> None:
    refusal, signal = decode(message(signal_type=SignalType.USER + 5, hedge_name="", values=[]))
    assert refusal == Refusal.NONE
    assert (signal.header.hedge_instrument_index, signal.header.pair_id) == (NO_INSTRUMENT, NO_PAIR)


def patched(raw: bytes, offset: int, layout: str, value: Any) -> bytes:
    data = bytearray(raw)
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        pytest.param(b"", Refusal.TOO_SHORT, id="empty"),
        pytest.param(message()[:143], Refusal.TOO_SHORT, id="one byte short of the fixed part"),
        pytest.param(b"XXXX" + message()[4:], Refusal.BAD_MAGIC, id="another magic"),
        pytest.param(patched(message(), 4, "<H", 2), Refusal.WRONG_VERSION, id="version 2"),
        pytest.param(patched(message(), 6, "<H", 100), Refusal.WRONG_LENGTH, id="a length that is not the message's"),
        pytest.param(message() + b"\0", Refusal.WRONG_LENGTH, id="one byte too long"),
        pytest.param(message()[:-1], Refusal.WRONG_LENGTH, id="one byte too short"),
        pytest.param(patched(message(), 10, "<H", 13), Refusal.BAD_VALUES, id="thirteen values"),
        pytest.param(patched(message(), 10, "<H", 3), Refusal.WRONG_LENGTH, id="fewer values than bytes"),
        pytest.param(message(values=[float("nan")]), Refusal.BAD_VALUES, id="not a number"),
        pytest.param(message(values=[float("inf")]), Refusal.BAD_VALUES, id="infinite"),
        pytest.param(message(signal_type=SignalType.ORDER_RESPONSE), Refusal.WRONG_TYPE, id="an order response"),
        pytest.param(message(signal_type=SignalType.STRATEGY_ORDER), Refusal.WRONG_TYPE, id="an order"),
        pytest.param(message(signal_type=64), Refusal.WRONG_TYPE, id="type 64"),
        pytest.param(message(name="binance_spot:DOGEUSDT"), Refusal.UNKNOWN_INSTRUMENT, id="no such symbol"),
        pytest.param(message(hedge_name="nowhere:BTCUSDT"), Refusal.UNKNOWN_INSTRUMENT, id="no such venue"),
        pytest.param(message(name=""), Refusal.UNKNOWN_INSTRUMENT, id="no instrument at all"),
        pytest.param(message(name="", instrument_index=4), Refusal.UNKNOWN_INSTRUMENT, id="an index beyond the table"),
        pytest.param(message(token=b"secret"), Refusal.BAD_TOKEN, id="a token where none is asked for"),
        pytest.param(message(time_ns=WALL_NS - 1_000_000_001), Refusal.TOO_OLD, id="too old"),
        pytest.param(message(time_ns=WALL_NS + 100_000_001), Refusal.TOO_OLD, id="from the future"),
        pytest.param(message(time_ns=0), Refusal.TOO_OLD, id="no time"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_for_its_reason(raw: bytes, refusal: Refusal) -> None:
    assert decode(raw)[0] == refusal


def test_a_configured_token_is_asked_for() -> None:
    by = decoder(token=b"secret")
    assert decode(message(), by)[0] == Refusal.BAD_TOKEN
    assert decode(message(token=b"secre"), by)[0] == Refusal.BAD_TOKEN
    assert decode(message(token=b"secret"), by)[0] == Refusal.NONE


def test_a_repeated_number_is_dropped_a_gap_is_counted_a_restart_is_welcome() -> None:
    by = decoder()
    numbers = [1, 2, 2, 5, 1, 2]
    refusals = [decode(message(sequence=number), by)[0] for number in numbers]
    assert refusals == [0, 0, Refusal.REPEATED, 0, 0, 0]
    assert by.lost == 2


def test_producers_are_numbered_apart() -> None:
    by = decoder()
    assert decode(message(sequence=1, producer=1), by)[0] == Refusal.NONE
    assert decode(message(sequence=1, producer=2), by)[0] == Refusal.NONE


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"values": [0.0] * 13}, "at most 12"), ({"name": "x" * 40}, "at most 39"), ({"token": b"x" * 17}, "16 bytes")],
)
def test_a_producer_hears_of_what_does_not_fit(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        message(**changes)


def test_the_longest_message_is_as_long_as_documented() -> None:
    assert len(message(values=[1.0] * 12)) == MESSAGE_BYTES_MAX == 144 + 8 * 12
    assert FIXED.size == 144


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_breaks(raw: bytes) -> None:
    assert decode(raw)[0] != Refusal.NONE


@given(st.integers(0, 175), st.integers(0, 255))
def test_any_changed_byte_is_taken_or_refused_and_nothing_breaks(offset: int, byte: int) -> None:
    raw = bytearray(message())
    raw[offset] = byte
    decode(bytes(raw))
