"""Rows and topic: what others see of a feed."""

import os
from itertools import count

import pytest

from reactor.domain.messages import SIZE, VIEW, Venue, new
from reactor.feed.counters import Counter
from reactor.feed.publish import MarketTopic, TopRows, wanted_symbols
from reactor.loop.counters import Metrics
from reactor.market.intake import Intake
from reactor.market.topic_frame import PARTS_MAX, FrameJoiner
from shm.segment import Memory
from shm.seqlock import heap_rows
from shm.topic import BODY_MAX, TopicPublisher, TopicSubscriber

_numbers = count()


@pytest.fixture
def instance():
    return f"test_feed_{os.getpid()}_{next(_numbers)}"


def test_a_row_is_written_once_per_pass_however_often_its_top_changed():
    intake = Intake()
    slot = intake.add("ANY")
    tops = [new("book_top"), intake.top(slot)]
    writer, reader = heap_rows(2, SIZE["book_top"], VIEW["book_top"])
    rows = TopRows(writer, tops)
    rows.add(intake, slot, 1)
    for bid_ticks in (5, 6, 7):
        tops[1].bid_ticks = bid_ticks
        intake.mark(slot)
    assert reader.read(1).bid_ticks == 0
    assert rows.flush() == 1
    assert (reader.read(1).bid_ticks, reader.writes(1)) == (7, 1)
    assert rows.flush() == 0


def test_a_row_that_was_shown_early_is_not_written_again_unless_it_changed():
    intake = Intake()
    slot = intake.add("ANY")
    tops = [intake.top(slot)]
    writer, reader = heap_rows(1, SIZE["book_top"], VIEW["book_top"])
    rows = TopRows(writer, tops)
    rows.add(intake, slot, 0)
    for round_ in range(2000):  # More often than the list of changed slots has places.
        tops[0].bid_ticks = round_
        intake.mark(slot)
        rows.show(0)
        assert reader.read(0).bid_ticks == round_
    assert rows.flush() == 0
    intake.mark(slot)
    assert rows.flush() == 1


def test_frames_reach_a_subscriber_whole_and_its_wishes_reach_the_feed(instance):
    with Memory(instance, "feed") as ours, Memory(instance, "watcher") as theirs:
        publisher, subscriber = TopicPublisher(ours, "market", 3), TopicSubscriber(theirs, "market")
        metrics = Metrics()
        topic = MarketTopic(publisher, int(Venue.BINANCE_USDM), lambda: 1_000, metrics)
        publisher.refresh(0)
        assert topic.is_heard
        long_frame = bytes(range(256)) * 20
        topic.tap(2, "BTCUSDT", 7, 1, b'{"short":1}', 50)
        topic.tap(3, "BTCUSDT", 7, 0, memoryview(long_frame), 60)
        topic.tap(7, "BTCUSDT", 7, 0, b"x" * (BODY_MAX * PARTS_MAX), 70)
        joiner = FrameJoiner()
        messages = subscriber.take()
        frames = [frame for message in messages if (frame := joiner.take(message.body)) is not None]
        assert {message.key for message in messages} == {"binance_usdm:BTCUSDT"}
        assert [(frame.frame_kind, frame.payload) for frame in frames] == [(2, b'{"short":1}'), (3, long_frame)]
        assert (frames[0].receive_ns, frames[0].receive_wall_ns, frames[0].session) == (50, 1_050, 1)
        assert (metrics.get(Counter.TOPIC_FRAMES), metrics.get(Counter.TOPIC_OVERSIZED)) == (2, 1)
        subscriber.want("binance_spot:DOGEUSDT")
        subscriber.want("nonsense")
        assert list(wanted_symbols(publisher)) == [("binance_spot", "DOGEUSDT")]
        publisher.close()
        subscriber.close()
