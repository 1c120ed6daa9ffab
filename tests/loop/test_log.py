"""A log record never blocks, is cut rather than lost, and repetition is sampled."""

import io
import json

from reactor.domain.messages import new, text_of
from reactor.loop.clock import ManualClock
from reactor.loop.log import BURST_MAX, TEXT_SIZE, Level, RingLog, StreamLog, encode_record


class OneSlotRing:
    def __init__(self) -> None:
        self.slot = new("log")
        self.is_full = False
        self.committed = 0

    def try_claim(self, lane: int = 0) -> object:
        return None if self.is_full else self.slot

    def sequence(self, lane: int = 0) -> int:
        return self.committed + 1

    def commit(self, lane: int = 0) -> None:
        self.committed += 1


def test_a_record_carries_level_source_and_fields():
    ring = OneSlotRing()
    RingLog(ring, ManualClock(), source=7).warning("book gap", symbol="BTCUSDT", missed=3)
    assert ring.slot.header.kind == Level.WARNING
    assert ring.slot.header.source == 7
    assert json.loads(text_of(ring.slot.text)) == {"text": "book gap", "symbol": "BTCUSDT", "missed": 3}


def test_a_full_ring_drops_the_record_and_the_next_one_says_so():
    ring = OneSlotRing()
    log = RingLog(ring, ManualClock(), source=0)
    ring.is_full = True
    log.error("one")
    ring.is_full = False
    log.error("two")
    assert ring.committed == 1
    assert ring.slot.suppressed == 1


def test_a_sentence_repeated_within_a_second_is_sampled_and_the_rest_counted():
    clock, stream = ManualClock(), io.StringIO()
    log = StreamLog(clock, "feed", stream=stream)
    for _ in range(BURST_MAX + 10):
        log.info("again")
    clock.advance(1_000_000_000)
    log.info("again")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == BURST_MAX + 1
    assert lines[-1]["suppressed"] == 10


def test_a_level_below_the_limit_is_not_written():
    stream = io.StringIO()
    StreamLog(ManualClock(), "feed", Level.WARNING, stream).info("quiet")
    assert stream.getvalue() == ""


def test_a_long_record_is_cut_to_valid_json():
    raw = encode_record("x" * 500, "books", {"a": "y" * 500, "b": 1})
    assert len(raw) <= TEXT_SIZE
    assert json.loads(raw)["cut"] is True
