"""One signal from outside, as bytes: the format that a producer in any language writes. Pure.

Little-endian, packed, one message per iceoryx2 sample or ZeroMQ frame. Version 1:

    offset  size  field
         0     4  magic             the bytes "CTSG"
         4     2  version           u16: 1
         6     2  length            u16: bytes of the whole message, 144 + 8 · value_count
         8     2  signal_type       u16: 0 adaptive spread, 1 fixed spread, 2 funding direction, 3 funding risk,
                                    4 position close, 5 book top, 32 … 63 your own (see messages.h for the values of each)
        10     2  value_count       u16: 0 … 12
        12     2  producer          u16: a number of your choice that tells your producers apart
        14     2  reserved          0
        16     8  sequence          u64: grows by one per message of this producer; 0: not counted. Gaps are counted as
                                    lost, a number seen just before is dropped as a repetition
        24     8  time_ns           i64: when the signal was made, nanoseconds since 1970 UTC
        32     8  exchange_ns       i64: the venue's time of what caused it, the same unit; 0: unknown
        40     2  instrument        u16: index in the plan, used where the name below is empty; 0xffff: use the name
        42     2  hedge_instrument  u16: the other leg, likewise; 0xffff and no name: none
        44     4  reserved          0
        48    16  token             as configured, NUL-padded; all NUL where none is configured
        64    40  name              "binance_spot:BTCUSDT", ASCII, NUL-padded; empty: use the index
       104    40  hedge_name        "binance_usdm:BTCUSDT", likewise
       144   8·n  values            f64, finite

For pair signals (types 0 … 4) the instrument is the open leg (spot), the hedge instrument the perpetual.

A producer in C:

    #pragma pack(push, 1)
    struct ct_signal {
        char magic[4]; uint16_t version, length, signal_type, value_count, producer, reserved0;
        uint64_t sequence; int64_t time_ns, exchange_ns; uint16_t instrument, hedge_instrument; uint32_t reserved1;
        char token[16], name[40], hedge_name[40]; double values[2];
    };
    #pragma pack(pop)

    struct ct_signal s = { .magic = "CTSG", .version = 1, .length = sizeof s, .signal_type = 32, .value_count = 2,
        .producer = 7, .sequence = ++n, .time_ns = now_utc_ns(), .instrument = 0xffff, .hedge_instrument = 0xffff,
        .name = "binance_spot:BTCUSDT", .values = { 0.25, 1.0 } };
    void *push = zmq_socket(zmq_ctx_new(), ZMQ_PUSH);      // libzmq; a SUB input takes ZMQ_PUB
    zmq_connect(push, "ipc:///run/crypto_trade/paper/signals");
    zmq_send(push, &s, sizeof s, ZMQ_DONTWAIT);
"""

import hmac
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from reactor.domain.instrument import Instruments
from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR, SIGNAL_VALUES_MAX, SignalType, Stage, clear, signal_index

MAGIC: Final = b"CTSG"
VERSION: Final = 1
FIXED: Final = struct.Struct("<4sHHHHHHQqqHHI16s40s40s")
MESSAGE_BYTES_MAX: Final = FIXED.size + 8 * SIGNAL_VALUES_MAX
TOKEN_BYTES: Final = 16
NAME_BYTES: Final = 40
USER_FIRST: int = SignalType.USER
TYPES_MAX: int = SignalType.TYPES_MAX
STATE_TYPES_LAST: int = SignalType.BOOK_TOP  # Orders and responses come from our own house only.
STAGE_RECEIVE: int = Stage.RECEIVE
STAGE_SIGNAL: int = Stage.SIGNAL
VALUES: Final = tuple(struct.Struct(f"<{count}d") for count in range(SIGNAL_VALUES_MAX + 1))

assert FIXED.size == 144, "the table above says 144"


class Refusal(IntEnum):
    """Why a message from outside was not taken."""

    NONE = 0
    TOO_SHORT = 1
    BAD_MAGIC = 2
    WRONG_VERSION = 3
    WRONG_LENGTH = 4
    WRONG_TYPE = 5
    BAD_VALUES = 6  # too many, or not finite
    UNKNOWN_INSTRUMENT = 7
    BAD_TOKEN = 8
    TOO_OLD = 9  # or from the future: a producer whose clock is off
    REPEATED = 10
    PARTS = 11  # a ZeroMQ message of more than one frame


def encode(
    signal_type: int,
    values: Sequence[float],
    *,
    time_ns: int,
    name: str = "",
    hedge_name: str = "",
    instrument_index: int = NO_INSTRUMENT,
    hedge_instrument_index: int = NO_INSTRUMENT,
    producer: int = 0,
    sequence: int = 0,
    exchange_ns: int = 0,
    token: bytes = b"",
) -> bytes:
    """One message. `time_ns` is wall time (UTC); address the legs by name or by index.

    Raises:
        ValueError: too many values, or a name or token that does not fit.
    """
    if len(values) > SIGNAL_VALUES_MAX:
        raise ValueError(f"{len(values)} values: at most {SIGNAL_VALUES_MAX} fit")
    names = name.encode("ascii"), hedge_name.encode("ascii")
    if any(len(each) >= NAME_BYTES for each in names) or len(token) > TOKEN_BYTES:
        raise ValueError(f"a name has at most {NAME_BYTES - 1} characters, a token {TOKEN_BYTES} bytes")
    count = len(values)
    fixed = FIXED.pack(
        MAGIC, VERSION, FIXED.size + 8 * count, signal_type, count, producer, 0, sequence, time_ns, exchange_ns,
        instrument_index, hedge_instrument_index, 0, token, *names,
    )  # fmt: skip
    return fixed + VALUES[count].pack(*values)


@dataclass(frozen=True)
class DecoderParameters:
    """What is believed."""

    age_ms_max: int = 1_000  # older than this on arrival is not taken: it would only be stale on arrival
    ahead_ms_max: int = 100  # a producer's clock may be this much ahead; more is a broken clock


class Decoder:
    """Bytes → signal_message_t. Keeps the last sequence of each producer."""

    def __init__(
        self,
        parameters: DecoderParameters,
        instruments: Instruments,
        pairs: Sequence[tuple[int, int]],
        signal_id_first: int,
        token: bytes = b"",
    ) -> None:
        """`token`: at most 16 bytes; empty: none is asked for."""
        self._token = token.ljust(TOKEN_BYTES, b"\0")
        self._age_ns_max = parameters.age_ms_max * 1_000_000
        self._ahead_ns_max = parameters.ahead_ms_max * 1_000_000
        self._instruments = len(instruments)
        self._by_name = {row.name.encode().ljust(NAME_BYTES, b"\0"): row.instrument_index for row in instruments}
        self._pairs = {legs: pair_id for pair_id, legs in enumerate(pairs)}
        self._last: dict[int, int] = {}  # producer → sequence: at most 65 536 producers
        self._signal_id = signal_id_first
        self.lost = 0

    def decode(self, raw: bytes, signal: Any, now_ns: int, wall_ns: int) -> Refusal:
        """Fills `signal` (a signal_message_t view) from `raw`; anything but NONE says why not, and `signal` is worthless.

        `now_ns` and `wall_ns` are the same instant on CLOCK_MONOTONIC and CLOCK_REALTIME: the age of the signal is measured
        on the wall and carried over, so that staleness counts from when it was made, not from when it came.
        """
        if len(raw) < FIXED.size:
            return Refusal.TOO_SHORT
        (magic, version, length, signal_type, count, producer, _, sequence, time_ns, exchange_ns,
         index, hedge_index, _, token, name, hedge_name) = FIXED.unpack_from(raw)  # fmt: skip
        if magic != MAGIC:
            return Refusal.BAD_MAGIC
        if version != VERSION:
            return Refusal.WRONG_VERSION
        if count > SIGNAL_VALUES_MAX:
            return Refusal.BAD_VALUES
        if length != len(raw) or length != FIXED.size + 8 * count:
            return Refusal.WRONG_LENGTH
        if not hmac.compare_digest(token, self._token):
            return Refusal.BAD_TOKEN
        if signal_type > STATE_TYPES_LAST and not USER_FIRST <= signal_type < TYPES_MAX:
            return Refusal.WRONG_TYPE
        values = VALUES[count].unpack_from(raw, FIXED.size)
        if not all(map(math.isfinite, values)):
            return Refusal.BAD_VALUES
        index = self._leg(name, index)
        hedge_index = self._leg(hedge_name, hedge_index)
        if index < 0 or hedge_index < 0 or index == NO_INSTRUMENT:
            return Refusal.UNKNOWN_INSTRUMENT
        age_ns = wall_ns - time_ns
        if age_ns > self._age_ns_max or -age_ns > self._ahead_ns_max:
            return Refusal.TOO_OLD
        if sequence and self._is_repeated(producer, sequence):
            return Refusal.REPEATED
        clear(signal, "signal")
        self._signal_id += 1
        header = signal.header
        header.sequence = sequence
        header.signal_id = self._signal_id
        header.exchange_ns = exchange_ns
        header.stage_ns[STAGE_RECEIVE] = now_ns
        header.stage_ns[STAGE_SIGNAL] = now_ns - age_ns if age_ns > 0 else now_ns
        header.kind = signal_type
        header.source = producer
        header.instrument_index = index
        header.hedge_instrument_index = hedge_index
        header.pair_id = self._pairs.get((index, hedge_index), NO_PAIR)
        signal.signal_index = signal_index(signal_type, index)
        signal.value_count = count
        signal.values[0:count] = values
        return Refusal.NONE

    def _leg(self, name: bytes, index: int) -> int:
        """The instrument of a name or an index; NO_INSTRUMENT if neither is given, −1 if there is no such instrument."""
        if name[0]:
            return self._by_name.get(name, -1)
        return index if index < self._instruments or index == NO_INSTRUMENT else -1

    def _is_repeated(self, producer: int, sequence: int) -> bool:
        last = self._last.get(producer, 0)
        if sequence == last:
            return True
        if last and sequence > last + 1:
            self.lost += sequence - last - 1
        self._last[producer] = sequence  # Smaller than before: the producer started anew.
        return False
