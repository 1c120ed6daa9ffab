import pytest

from reactor.market.topic_frame import HEADER_SIZE, PARTS_MAX, FrameCutter, FrameJoiner


def bodies(payload, body_max=HEADER_SIZE + 10):
    return list(FrameCutter(1, body_max).cut(payload, 3, 7, 1, 100, 200))


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
def test_a_frame_arrives_whole_however_long_it_is(size):
    payload = bytes(range(65, 65 + size))
    joiner = FrameJoiner()
    frames = [joiner.take(body) for body in bodies(payload)]
    assert frames[:-1] == [None] * (len(frames) - 1)
    frame = frames[-1]
    assert frame.payload == payload
    assert (frame.venue, frame.frame_kind, frame.instrument_index, frame.session) == (1, 3, 7, 1)
    assert (frame.receive_ns, frame.receive_wall_ns) == (100, 200)


def test_a_lost_part_loses_one_frame_and_is_counted():
    joiner = FrameJoiner()
    first, second, third = bodies(b"x" * 25)
    assert joiner.take(first) is None
    assert joiner.take(third) is None
    assert joiner.broken == 1
    assert [joiner.take(body) is not None for body in (first, second, third)] == [False, False, True]
    assert joiner.take(b"short") is None


def test_a_frame_that_would_flood_the_queues_is_not_cut():
    assert bodies(b"x" * (10 * PARTS_MAX + 1)) == []
