"""Topics over iceoryx2: every subscriber gets everything it can keep up with, and knows what it missed."""

from collections.abc import Iterator

import pytest

from shm.segment import Memory
from shm.topic import BODY_MAX, QUEUE_MAX, TopicPublisher, TopicSubscriber

TOP = 3


@pytest.fixture
def other(instance: str) -> Iterator[Memory]:
    with Memory(instance, "watcher") as other:
        yield other


def test_every_subscriber_gets_every_message_in_order(memory: Memory, other: Memory) -> None:
    publisher = TopicPublisher(memory, "market", source=2)
    subscribers = [TopicSubscriber(other, "market") for _ in range(3)]
    publisher.refresh(0)
    for number in range(5):
        publisher.publish(TOP, b"binance_spot:BTCUSDT", b"%d" % number)
    for subscriber in subscribers:
        messages = subscriber.take()
        assert [message.body for message in messages] == [b"0", b"1", b"2", b"3", b"4"]
        assert {(message.kind, message.key, message.source) for message in messages} == {(TOP, "binance_spot:BTCUSDT", 2)}
        assert messages[0].publish_ns > 0
        assert subscriber.lost == 0
        assert subscriber.take() == []


def test_a_slow_subscriber_loses_the_oldest_and_knows_how_many(memory: Memory, other: Memory) -> None:
    publisher, subscriber = TopicPublisher(memory, "market"), TopicSubscriber(other, "market")
    publisher.refresh(0)
    publisher.publish(TOP, b"a", b"first")
    assert len(subscriber.take()) == 1
    for number in range(QUEUE_MAX + 10):
        publisher.publish(TOP, b"a", b"%d" % number)
    messages = subscriber.take(QUEUE_MAX + 10)
    assert len(messages) == QUEUE_MAX
    assert messages[-1].body == b"%d" % (QUEUE_MAX + 9), "the newest is there"
    assert subscriber.lost == 10


def test_publishing_to_nobody_is_allowed_and_shows_as_a_gap_to_nobody(memory: Memory, other: Memory) -> None:
    publisher = TopicPublisher(memory, "market")
    publisher.publish(TOP, b"a", b"unheard")
    assert publisher.published == 0
    subscriber = TopicSubscriber(other, "market")
    publisher.refresh(0)
    publisher.publish(TOP, b"a", b"heard")
    assert [message.body for message in subscriber.take()] == [b"heard"]
    assert subscriber.lost == 0


def test_publishers_are_told_apart_and_counted_apart(memory: Memory, other: Memory) -> None:
    publishers = [TopicPublisher(memory, "market", source) for source in (0, 1)]
    subscriber = TopicSubscriber(other, "market")
    for publisher in publishers:
        publisher.refresh(0)
    for _ in range(3):
        for publisher in publishers:
            publisher.publish(TOP, b"a", b"")
    messages = subscriber.take()
    assert sorted((message.source, message.sequence) for message in messages) == [
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 1),
        (1, 2),
        (1, 3),
    ]
    assert subscriber.lost == 0


def test_a_wish_reaches_the_publishers_of_today_and_those_that_start_later(memory: Memory, other: Memory) -> None:
    early = TopicPublisher(memory, "market", 0)
    subscriber = TopicSubscriber(other, "market")
    subscriber.want("binance_spot:XRPUSDT")
    subscriber.want("binance_usdm:XRPUSDT")
    subscriber.unwant("binance_spot:XRPUSDT")
    wishes = [("binance_spot:XRPUSDT", True), ("binance_usdm:XRPUSDT", True), ("binance_spot:XRPUSDT", False)]
    assert early.take_wanted() == wishes
    assert early.take_wanted() == []
    late = TopicPublisher(memory, "market", 1)
    subscriber.take()
    assert late.take_wanted() == wishes


@pytest.mark.parametrize("key", ["", "x" * 32], ids=["empty", "too long"])
def test_a_key_that_does_not_fit_is_refused(other: Memory, key: str) -> None:
    subscriber = TopicSubscriber(other, "market")
    with pytest.raises(ValueError, match="1 to 31 ASCII characters"):
        subscriber.want(key)


def test_the_largest_body_arrives_whole(memory: Memory, other: Memory) -> None:
    publisher, subscriber = TopicPublisher(memory, "market"), TopicSubscriber(other, "market")
    publisher.refresh(0)
    body = bytes(range(240)) * (BODY_MAX // 240)
    publisher.publish(TOP, b"a", body)
    assert subscriber.take()[0].body == body
    publisher.close()
    subscriber.close()
