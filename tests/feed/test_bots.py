"""A feed and the live bots that follow its books: what they are told, in which order."""

import pytest

from reactor.domain.messages import SIZE, VIEW, MarketKind
from shm.ring import heap_ring

SPOT_DEPTH = "spot/api/v3/depth"
MS = 1_000_000


def frame(name, **data):
    return {"stream": f"btcusdt@{name}", "data": {"s": "BTCUSDT", **data}}


def depth(first_id, final_id, bids=(), asks=()):
    return frame("depth", e="depthUpdate", E=1_700_000_000_000, U=first_id, u=final_id, b=bids, a=asks)


@pytest.fixture
def bench(make_bench):
    """A synchronised spot book that one bot follows; another bot follows something else."""
    producer, bot = heap_ring(64, SIZE["market"], VIEW["market"], lanes=1)
    other, other_bot = heap_ring(64, SIZE["market"], VIEW["market"], lanes=1)
    bench = make_bench((0,), ports={"bots": ((producer, frozenset({0})), (other, frozenset({2})))})
    bench.bot, bench.other_bot = bot, other_bot
    bench.open_all()
    bench.one, bench.two = bench.network.live()
    for socket in (bench.one, bench.two):
        socket.frame(depth(1, 10))
    bench.run(0.02)
    bench.network.answer(SPOT_DEPTH, {"lastUpdateId": 10, "bids": [("100.00", "1")], "asks": [("100.01", "1")]})
    bench.work()
    return bench


def said(consumer):
    found = []
    while (message := consumer.try_peek()) is not None:
        levels = [(quote.price_ticks, quote.quantity_lots) for quote in message.levels]
        bids, asks = message.bid_count, message.ask_count
        found.append((MarketKind(message.kind).name, levels[:bids], levels[bids : bids + asks], message.update_id))
    consumer.release()
    return found


def test_a_bot_hears_the_whole_book_then_deltas_tops_and_trades_each_once(bench):
    assert said(bench.bot)[-1] == ("BOOK", [(10_000, 100_000)], [(10_001, 100_000)], 10)
    for socket in (bench.one, bench.two):
        socket.frame(depth(11, 12, bids=[("99.99", "2")]))
        socket.frame(frame("bookTicker", u=13, b="100.00", B="3", a="100.01", A="1"))
        socket.frame(frame("trade", e="trade", E=1, t=7, T=5, p="100.01", q="0.5", m=False))
    assert said(bench.bot) == [
        ("DELTA", [(9_999, 200_000)], [], 12),
        ("TOP", [(10_000, 300_000)], [(10_001, 100_000)], 13),
        ("TRADE", [(10_001, 50_000)], [], 0),
    ]
    assert said(bench.other_bot) == []


def test_a_book_that_lost_its_thread_is_lost_to_the_bot_and_comes_back_whole(bench):
    said(bench.bot)
    for socket in (bench.one, bench.two):
        socket.frame(depth(50, 51, bids=[("99.99", "2")]))
    bench.run(0.3)
    assert [kind for kind, *_ in said(bench.bot)] == ["LOST"]
    bench.network.answer(SPOT_DEPTH, {"lastUpdateId": 60, "bids": [("100.00", "1")], "asks": [("100.01", "1")]})
    bench.one.frame(depth(61, 62, bids=[("99.98", "2")]))
    bench.work()
    assert said(bench.bot)[-1] == ("BOOK", [(10_000, 100_000), (9_998, 200_000)], [(10_001, 100_000)], 62)
