"""The feed as a whole, on a fake network, with literal times."""

import random

import orjson
import pytest

from reactor.domain.messages import ControlKind, SignalType, put_text, signal_index
from reactor.feed.board import TURNS_PER_READ_MAX
from reactor.feed.counters import Counter
from reactor.feed.parameters import FeedParameters, SessionParameters, SignalsParameters, UserSignalParameters
from reactor.feed.signals.parameters import AdaptiveSpreadParameters, BookTopParameters
from reactor.strategies.strategy import Quote

MS = 1_000_000
SECOND = 1_000_000_000
SPOT_DEPTH, USDM_DEPTH = "spot/api/v3/depth", "usdm/fapi/v1/depth"


def ticker(update_id, bid="100.00", ask="100.01", symbol="BTCUSDT", quantity="1.5"):
    data = {"u": update_id, "s": symbol, "b": bid, "B": quantity, "a": ask, "A": "2"}
    return {"stream": f"{symbol.lower()}@bookTicker", "data": data}


def depth(first_id, final_id, bids=(), asks=(), previous_id=None, symbol="BTCUSDT"):
    data = {"e": "depthUpdate", "E": 1_700_000_000_000, "s": symbol, "U": first_id, "u": final_id, "b": bids, "a": asks}
    if previous_id is not None:
        data |= {"pu": previous_id, "T": 1_700_000_000_000}
    return {"stream": f"{symbol.lower()}@depth", "data": data}


def mark(event_ms, rate="0.0003", price="100.0"):
    data = {"e": "markPriceUpdate", "E": event_ms, "s": "BTCUSDT", "p": price, "i": price, "P": price, "r": rate}
    return {"stream": "btcusdt@markPrice@1s", "data": data | {"T": 1_700_000_003_000}}


def snapshot(last_update_id, bids=(("100.00", "1"),), asks=(("100.01", "1"),)):
    return {"lastUpdateId": last_update_id, "bids": bids, "asks": asks}


def synchronise(bench, sockets, part=SPOT_DEPTH, previous_id=None):
    for socket in sockets:
        socket.frame(depth(1, 10, previous_id=previous_id))
    bench.run(0.02)
    bench.network.answer(part, snapshot(10))
    bench.work()


@pytest.fixture
def spot(make_bench):
    """A feed of one spot instrument, two live sessions, one synchronised book."""
    bench = make_bench((0,), signals=SignalsParameters(book_top=BookTopParameters((0,))))
    bench.open_all()
    bench.one, bench.two = bench.network.live()
    synchronise(bench, (bench.one, bench.two))
    bench.said()
    return bench


# ---- sessions -------------------------------------------------------------------------------------------------


def test_two_sessions_per_venue_subscribe_the_same_streams(make_bench):
    bench = make_bench((0, 2))
    assert [socket.url for socket in bench.network.sockets] == ["ws://spot/stream"] * 2
    bench.open_all()
    for socket in bench.network.sockets:
        assert socket.streams() == [
            "btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@trade",
            "ethusdt@bookTicker", "ethusdt@depth@100ms", "ethusdt@trade",
        ]  # fmt: skip


def test_futures_streams_go_to_their_own_paths(make_bench):
    bench = make_bench((1,))
    bench.open_all()
    by_url = {socket.url: socket.streams() for socket in bench.network.sockets}
    assert by_url == {
        "ws://usdm/public/stream": ["btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@trade"],
        "ws://usdm/market/stream": ["btcusdt@markPrice@1s"],
    }
    assert len(bench.network.sockets) == 4


def test_a_feed_is_ready_when_its_sessions_are_live_and_its_books_synchronised(make_bench):
    bench = make_bench((0,))
    assert not bench.role.is_ready()
    bench.open_all()
    assert not bench.role.is_ready()
    synchronise(bench, bench.network.live())
    assert bench.role.is_ready()


def test_what_both_sessions_bring_counts_once(spot):
    spot.one.frame(ticker(20))
    spot.two.frame(ticker(20))
    spot.two.frame(ticker(21, bid="99.99"))
    spot.one.frame(ticker(21, bid="99.99"))
    spot.run(0.2)
    top = spot.tops.read(0)
    assert (top.bid_ticks, top.update_id) == (9999, 21)
    assert spot.role.book_of(0).top.duplicates == 3  # two tickers, and the first delta
    assert [said.tops[0] for said in spot.said() if said.receive_ns == said.signal_ns][:2] == [10000, 9999]


def test_a_read_full_of_frames_asks_the_signals_once_of_the_newest_top(spot):
    spot.one.read(*(ticker(update_id, f"{100 + update_id / 100:.2f}", "150.00") for update_id in range(11, 60)))
    said = [each for each in spot.said() if each.kind == SignalType.BOOK_TOP]
    assert [each.tops[0] for each in said] == [10_059]
    assert spot.role.book_of(0).top.update_id == 59


def every_update(make_bench, capacity):
    bench = make_bench((0,), capacity, signals=SignalsParameters(book_top=BookTopParameters((0,), 60_000, every_update=True)))
    bench.open_all()
    bench.one, bench.two = bench.network.live()
    synchronise(bench, (bench.one, bench.two))
    bench.work()
    bench.said()
    return bench


def test_where_every_update_is_asked_for_each_of_a_read_is_a_signal_of_its_own(make_bench):
    bench = every_update(make_bench, 256)
    bench.one.read(*(ticker(update_id, f"{100 + update_id / 100:.2f}", "150.00") for update_id in range(11, 60)))
    assert [each.tops[0] for each in bench.said()] == [10_000 + update_id for update_id in range(11, 60)]
    assert bench.counter(Counter.SIGNALS_DELAYED) == 0


def test_where_every_update_is_asked_for_a_full_ring_makes_the_sockets_wait_and_loses_none(make_bench):
    bench = every_update(make_bench, 16)
    bench.one.read(*(ticker(update_id, f"{100 + update_id / 100:.2f}", "150.00") for update_id in range(11, 90)))
    assert bench.one.is_held
    bench.two.read(ticker(90, "100.90", "150.00"))
    assert bench.two.is_held
    heard = []
    for _ in range(20):
        heard += bench.said()
        bench.work()
    assert not bench.one.is_held
    assert not bench.two.is_held
    assert [each.tops[0] for each in heard] == [10_000 + update_id for update_id in range(11, 91)]
    assert bench.counter(Counter.SIGNALS_DELAYED) > 0
    assert "the signal ring is full: sockets wait" in bench.texts()


def test_where_every_update_is_asked_for_single_frames_wait_in_order_too(make_bench):
    bench = every_update(make_bench, 16)
    for update_id in range(11, 60):
        bench.one.frame(ticker(update_id, f"{100 + update_id / 100:.2f}", "150.00"))
    heard = []
    for _ in range(6):
        heard += bench.said()
        bench.work()
    assert [each.tops[0] for each in heard] == [10_000 + update_id for update_id in range(11, 60)]


def test_frames_by_the_read_leave_the_same_books_as_frames_one_by_one(make_bench):
    rng = random.Random(5)
    frames, final_id = [], 10
    for _ in range(400):
        if rng.random() < 0.4:
            sides = [[[f"{price / 100:.2f}", rng.choice(["0", "1.25", "3"])] for price in rng.sample(prices, 4)]
                     for prices in (range(9_900, 10_000), range(10_001, 10_100))]  # fmt: skip
            frames.append(depth(final_id + 1, final_id + 2, *sides))
            final_id += 2
        else:
            frames.append(ticker(final_id + rng.randint(0, 2), f"{rng.randint(9_900, 10_000) / 100:.2f}", "100.01"))
    tops, levels = [], []
    for way in ("frames", "reads"):
        bench = make_bench((0,), signals=SignalsParameters(book_top=BookTopParameters((0,))))
        bench.open_all()
        one, two = bench.network.live()
        synchronise(bench, (one, two))
        if way == "frames":
            for each in frames:
                one.frame(each)
        else:
            size = sum(len(one.wire(each)) for each in frames)
            assert one.read(*frames, splits=sorted(rng.sample(range(size), 60))) == 0
        book = bench.role.book_of(0)
        assert book.sync.is_synchronised
        tops.append((book.top.bid_ticks, book.top.ask_ticks, book.top.bid_lots, book.top.update_id, book.book.update_id))
        levels.append([book.book.levels(side, 1000) for side in (1, -1)])
    assert tops[0] == tops[1]
    assert levels[0] == levels[1]


def test_a_read_stops_for_what_must_be_decided_and_goes_on_behind_it(spot):
    gap, after = depth(20, 21), ticker(40, "100.00", "100.01", quantity="7")
    left = spot.one.read(ticker(11), (0x89, b"ping"), {"odd": 1}, gap, after, splits=(3, 9))
    assert left == 0
    assert spot.one.controls == [(0x89, b"ping")]
    assert spot.counter(Counter.REFUSED) == 1
    assert not spot.role.book_of(0).sync.is_synchronised
    assert spot.role.book_of(0).top.update_id == 40


def test_half_a_frame_waits_for_its_other_half_and_says_how_much_it_needs(spot):
    data = spot.one.wire(ticker(11))
    buffer = bytearray(data)
    assert spot.one.listener.on_bytes(spot.one, buffer, 0, len(data) - 1, 1) == 0
    assert spot.one.needed == len(data)
    assert spot.one.listener.on_bytes(spot.one, buffer, 0, len(data), 1) == len(data)


@pytest.mark.parametrize("head", [b"\xc1\x02{}", b"\x81\x82{}{}{}", b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_bytes_that_are_no_frame_of_a_server_close_the_session(spot, head):
    spot.one.listener.on_bytes(spot.one, bytearray(head), 0, len(head), 1)
    assert spot.one.closed == "not a WebSocket frame"


def test_one_session_lost_leaves_the_other_carrying_on(spot):
    spot.one.drop("reset by peer")
    spot.two.frame(ticker(30, bid="99.50"))
    spot.work()
    top = spot.tops.read(0)
    assert (top.bid_ticks, top.is_synchronised) == (9950, 1)
    spot.two.frame(depth(11, 40))
    spot.run(0.5)
    assert spot.role.is_ready()
    assert len(spot.network.live()) == 2
    spot.open_all()
    assert spot.network.live()[1].streams() == spot.two.streams()


def test_all_sessions_lost_makes_the_top_untrustworthy_until_a_new_snapshot(spot):
    spot.one.drop()
    spot.two.drop()
    spot.work()
    assert spot.tops.read(0).is_synchronised == 0
    spot.run(1)
    spot.open_all()
    socket = spot.network.live()[0]
    socket.frame(depth(3, 5))  # the venue was restarted: its ids begin anew
    socket.frame(ticker(5, bid="50.00", ask="50.01"))
    spot.run(0.02)
    spot.network.answer(SPOT_DEPTH, snapshot(5, [["50.00", "1"]], [["50.01", "1"]]))
    spot.work()
    top = spot.tops.read(0)
    assert (top.is_synchronised, top.bid_ticks) == (1, 5000)


def test_a_reconnect_waits_longer_each_time(make_bench):
    bench = make_bench((0,))
    gaps, last = [], 0
    for _ in range(5):
        for socket in bench.network.live():
            socket.drop("refused")
        attempts = len(bench.network.sockets)
        waited = 0
        while len(bench.network.sockets) == attempts:
            bench.run(0.01)
            waited += 10
        gaps.append(waited)
        bench.run(6)  # the second session of the pair
        last = waited
    assert last > gaps[0]
    assert gaps[0] <= 200


def test_rotation_opens_the_new_session_before_it_drops_the_old_one(make_bench):
    sessions = SessionParameters(rotate_after_s=100, rotate_stagger_s=40)
    bench = make_bench((0,), sessions=sessions)
    bench.open_all()
    one, two = bench.network.live()
    synchronise(bench, (one, two))
    update_id = 10

    def market(seconds):
        nonlocal update_id
        for _ in range(int(seconds * 2)):
            update_id += 1
            for socket in bench.network.live():
                if socket.is_open:
                    socket.frame(depth(update_id, update_id))
                    socket.frame(ticker(update_id))
            bench.run(0.5, step_ms=50)
            assert bench.tops.read(0).is_synchronised == 1

    market(59)
    assert len(bench.network.live()) == 2
    market(3)
    assert len(bench.network.live()) == 3
    assert two.closed is None
    bench.open_all()
    market(1)
    assert two.closed == "planned rotation"
    assert one.closed is None
    market(40)
    bench.open_all()
    market(1)
    assert one.closed == "planned rotation"
    assert len(bench.network.live()) == 2
    assert bench.counter(Counter.ROTATIONS) == 2
    assert bench.counter(Counter.SESSIONS_LOST) == 0
    assert bench.counter(Counter.RESYNCS) == 0


def test_a_shutdown_notice_brings_the_rotation_forward(spot):
    spot.one.frame({"e": "serverShutdown", "E": 1})
    spot.run(0.05)
    assert len(spot.network.live()) == 3
    assert spot.one.closed is None


def test_a_silent_session_is_asked_and_then_replaced(make_bench):
    bench = make_bench((0,), sessions=SessionParameters(silence_s=5, pong_s=2))
    bench.open_all()
    one, two = bench.network.live()
    bench.run(5.1)
    assert (one.pings, two.pings) == (1, 1)
    two.pong()
    bench.run(2.1)
    assert "silent" in one.closed
    assert two.closed is None


def test_a_stream_that_is_acknowledged_and_stays_silent_is_told(make_bench):
    bench = make_bench((0,), sessions=SessionParameters(alarm_after_s=3, silence_s=60))
    bench.open_all()
    for socket in bench.network.live():
        socket.frame(ticker(5))
    bench.run(4)
    silent = [fields["stream"] for _, text, fields in bench.log.records if text.startswith("subscribed but no data")]
    assert silent == ["btcusdt@depth@100ms"] * 2
    assert bench.counter(Counter.SILENT_STREAMS) == 2


def test_a_refused_subscription_is_tried_again_and_told(make_bench):
    bench = make_bench((0,))
    bench.network.sockets[0].open()
    bench.network.sockets[0].frame({"error": {"code": 2, "msg": "Invalid request"}, "id": 1})
    assert "refused" in bench.network.sockets[0].closed
    assert "venue refused a subscription" in bench.texts()


def test_subscriptions_keep_to_the_venues_message_limit(make_bench):
    bench = make_bench((0,))
    for number in range(90):
        bench.role.subscribe("binance_spot", f"SYM{number}", bench.clock.monotonic_ns())
    socket = bench.network.sockets[0]
    socket.open()
    assert len(socket.sent) == 1
    bench.run(0.2)
    assert len(socket.sent) == 1
    bench.run(0.1)
    assert len(socket.sent) == 2
    bench.run(0.5)
    assert len(socket.streams()) == 3 + 90 * 3


# ---- books ----------------------------------------------------------------------------------------------------


def test_the_snapshot_is_asked_for_after_the_first_delta_and_again_when_it_is_stale(make_bench):
    bench = make_bench((0,))
    bench.open_all()
    one, _ = bench.network.live()
    bench.run(0.1)
    assert not any("depth" in request.url for request, _ in bench.network.requests)
    one.frame(depth(100, 110))
    bench.run(0.02)
    bench.network.answer(SPOT_DEPTH, snapshot(50))
    assert bench.counter(Counter.SNAPSHOTS_STALE) == 1
    bench.run(1)
    one.frame(depth(111, 120, bids=[["100.00", "7"]]))
    bench.network.answer(SPOT_DEPTH, snapshot(115))
    bench.work()
    top = bench.tops.read(0)
    assert (top.is_synchronised, top.bid_lots, top.update_id) == (1, 700000, 120)


def test_a_snapshot_that_fails_is_asked_for_again_and_a_limit_is_obeyed(make_bench):
    bench = make_bench((0,))
    bench.open_all()
    bench.network.live()[0].frame(depth(100, 110))
    bench.run(0.02)
    bench.network.fail(SPOT_DEPTH)
    bench.run(1)
    bench.network.answer(SPOT_DEPTH, b"<html>", status=429, headers={"retry-after": "3"})
    bench.run(2)
    assert not any("depth" in request.url for request, _ in bench.network.requests)
    bench.run(2)
    bench.network.answer(SPOT_DEPTH, b"not a book")
    bench.run(2)
    bench.network.answer(SPOT_DEPTH, snapshot(105))
    assert bench.counter(Counter.SNAPSHOTS_FAILED) == 3
    assert bench.role.book_of(0).sync.is_synchronised


def test_snapshots_wait_for_the_next_minute_where_others_on_the_address_have_used_its_weight(make_bench):
    bench = make_bench((0,))
    bench.open_all()
    one, _ = bench.network.live()
    one.frame(depth(100, 110))
    bench.run(0.02)
    left_s = 60 - bench.clock.realtime_ns() // SECOND % 60
    assert left_s > 30
    bench.network.answer(SPOT_DEPTH, snapshot(50), headers={"x-mbx-used-weight-1m": "3580"})  # of 6000; it is stale
    for second in range(left_s - 1):
        bench.run(1)
        one.frame(ticker(111 + second))
        assert not any("depth" in request.url for request, _ in bench.network.requests)
    bench.run(2)
    bench.network.answer(SPOT_DEPTH, snapshot(105))
    assert bench.role.book_of(0).sync.is_synchronised


def test_a_gap_on_both_sessions_fetches_the_book_anew_and_no_signal_is_made_meanwhile(spot):
    spot.one.frame(depth(21, 30))
    spot.two.frame(depth(21, 30))
    spot.run(0.05)
    assert spot.tops.read(0).is_synchronised == 0
    spot.said()
    spot.one.frame(ticker(31, bid="90.00"))
    spot.work()
    assert spot.said() == []
    spot.run(0.2)
    spot.network.answer(SPOT_DEPTH, snapshot(25))
    spot.run(0.2)
    assert spot.tops.read(0).is_synchronised == 1
    assert spot.tops.read(0).resyncs == 1
    assert spot.counter(Counter.RESYNCS) == 1
    assert spot.said()


def test_a_gap_on_one_session_is_filled_by_the_other(spot):
    spot.one.frame(depth(21, 30, bids=[["99.00", "3"]]))
    assert spot.tops.read(0).is_synchronised == 1
    spot.work()
    assert spot.tops.read(0).is_synchronised == 0
    spot.two.frame(depth(11, 20, bids=[["98.00", "4"]]))
    spot.two.frame(depth(21, 30, bids=[["99.00", "3"]]))
    spot.run(0.2)
    book = spot.role.book_of(0)
    assert book.book.levels(1, 5) == [(10000, 100000), (9900, 300000), (9800, 400000)]
    assert spot.tops.read(0).is_synchronised == 1
    assert (spot.counter(Counter.RESYNCS), spot.counter(Counter.GAPS_BRIDGED)) == (0, 1)


def test_a_crossed_book_is_fetched_anew(spot):
    spot.one.frame(depth(11, 20, bids=[["101.00", "1"]]))
    spot.run(0.02)
    assert spot.counter(Counter.CROSSED) == 1
    assert spot.tops.read(0).is_synchronised == 0
    spot.one.frame(depth(21, 22))
    spot.network.answer(SPOT_DEPTH, snapshot(21))
    assert spot.role.book_of(0).sync.is_synchronised


def test_silence_makes_a_top_stale_and_the_next_tick_makes_it_fresh(spot):
    spot.run(5.2)
    assert spot.tops.read(0).is_synchronised == 0
    spot.said()
    assert spot.counter(Counter.BOOKS_STALE) == 1
    spot.one.frame(ticker(60))
    spot.work()
    assert spot.tops.read(0).is_synchronised == 1
    assert [said.kind for said in spot.said()] == [SignalType.BOOK_TOP]


def test_the_venues_clock_is_estimated_with_its_error(make_bench):
    bench = make_bench((0,))
    send_ms = bench.clock.realtime_ns() // MS
    bench.clock.advance(4 * MS)
    bench.network.answer("/time", {"serverTime": send_ms + 1272})
    bench.run(0.2)
    assert bench.role.venues[0].inquiry.clock_offset.estimate(bench.clock.realtime_ns()).offset_ns == 1_270 * MS + MS // 2
    assert bench.tops.read(0).clock_offset_ns in (0, 1_270 * MS + MS // 2)
    assert 2_500 <= bench.counter(Counter.CLOCK_ERROR_US) < 2_600
    bench.open_all()
    bench.network.live()[0].frame(ticker(5))
    top = bench.role.book_of(0).top
    assert top.exchange_ns == bench.clock.realtime_ns() + 1_270 * MS + MS // 2


# ---- checks ---------------------------------------------------------------------------------------------------


def say(bench, kind, text):
    view = bench.control.try_claim()
    view.header.sequence = bench.control.sequence()
    view.header.kind = kind
    view.generation = 7
    put_text(view.text, text)
    bench.control.commit()


def test_a_check_on_demand_compares_the_book_with_the_venues_at_the_same_update(spot):
    say(spot, ControlKind.CHECK_BOOK, "binance_spot:BTCUSDT")
    spot.run(0.02)
    spot.one.frame(depth(11, 20, bids=[["99.00", "5"]]))
    spot.network.answer(SPOT_DEPTH, snapshot(15, [["100.00", "1"], ["98.50", "2"]]))
    spot.one.frame(depth(21, 30, bids=[["98.50", "0"]]))
    spot.run(0.02)
    assert spot.counter(Counter.CHECKS_PASSED) == 1
    assert "book check passed" in spot.texts()


def test_a_check_that_fails_names_the_difference_and_fetches_the_book_anew(spot):
    say(spot, ControlKind.CHECK_BOOK, "")
    spot.run(0.02)
    spot.one.frame(depth(11, 20))
    spot.network.answer(SPOT_DEPTH, snapshot(15, [["100.00", "9"]]))
    spot.one.frame(depth(21, 30))
    assert spot.counter(Counter.CHECKS_FAILED) == 1
    failed = next(fields for _, text, fields in spot.log.records if text.startswith("book check failed"))
    assert failed["first"] == "bid at 10000 ticks: 100000 lots here, 900000 at the venue"
    spot.run(0.02)
    assert spot.tops.read(0).is_synchronised == 0


def test_a_check_that_cannot_be_made_in_time_says_so(spot):
    say(spot, ControlKind.CHECK_BOOK, "binance_spot:BTCUSDT")
    spot.run(0.02)
    spot.network.answer(SPOT_DEPTH, snapshot(15))
    spot.run(11)
    assert spot.counter(Counter.CHECKS_OPEN_ENDED) == 1


def test_a_check_of_an_unknown_book_is_told(spot):
    say(spot, ControlKind.CHECK_BOOK, "binance_spot:DOGEUSDT")
    spot.run(0.02)
    assert "book check: no such book in this feed" in spot.texts()


# ---- signals --------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(make_bench):
    """A feed of spot and perpetual BTCUSDT as one pair, synchronised."""
    spread = AdaptiveSpreadParameters(window_samples=100, samples_min=3)
    bench = make_bench((0, 1), pairs=((2, 1), (0, 1)), signals=SignalsParameters(adaptive_spread=spread))
    bench.open_all()
    bench.spot = bench.network.live("spot")
    bench.perpetual = bench.network.live("usdm/public")
    bench.marks = bench.network.live("usdm/market")
    synchronise(bench, bench.spot)
    synchronise(bench, bench.perpetual, USDM_DEPTH, previous_id=0)
    bench.spot[0].frame(ticker(20, "100.00", "100.01"))
    bench.perpetual[0].frame(ticker(20, "100.1", "100.2"))
    bench.run(0.5)
    bench.said()
    return bench


def of(kind, said):
    return [each for each in said if each.kind == kind]


def test_the_adaptive_spread_is_said_with_every_price_change(pair):
    pair.perpetual[1].frame(ticker(21, "100.3", "100.4"))
    spread = of(SignalType.ADAPTIVE_SPREAD_DEVIATION, pair.said())
    assert len(spread) == 1
    said = spread[0]
    assert said.values == pytest.approx([100.3 / 100.01 - 1, 1.0, 100.00 / 100.4 - 1, 0.0])
    assert (said.instrument_index, said.hedge_instrument_index, said.pair_id) == (0, 1, 1)
    assert said.tops == (10000, 10001, 1003, 1004)
    assert said.receive_ns == pair.clock.monotonic_ns()
    assert said.signal_id >> 48 == 1
    pair.perpetual[1].frame(ticker(22, "100.3", "100.4", quantity="9"))
    assert pair.said() == []


def test_a_signal_that_holds_is_said_again_and_one_that_does_not_hold_is_not(pair):
    pair.run(1)
    kinds = [said.kind for said in pair.said()]
    assert 8 <= kinds.count(SignalType.ADAPTIVE_SPREAD_DEVIATION) <= 12
    assert 8 <= kinds.count(SignalType.FIXED_SPREAD_DEVIATION) <= 12
    assert kinds.count(SignalType.FUNDING_RATE_DIRECTION) == 0
    pair.run(6)
    pair.said()
    pair.run(1)
    assert pair.said() == []  # stale by now


def test_funding_comes_with_its_direction_and_the_time_left(pair):
    pair.marks[0].frame(mark(5, rate="0.0003"))
    pair.marks[1].frame(mark(5, rate="0.0003"))
    said = of(SignalType.FUNDING_RATE_DIRECTION, pair.said())
    assert len(said) == 1
    assert said[0].values[:2] == [0.0003, -1.0]
    assert said[0].values[3] == pytest.approx(3.0, abs=1.5)
    assert said[0].instrument_index == 0


def test_an_open_pair_is_watched_for_funding_risk_and_for_its_close(pair):
    row = pair.positions.edit(0)
    row.pair_direction = -1
    row.pair_opened_ns = pair.clock.monotonic_ns()
    row.pair_entry_spread_e8 = 1_000_000  # 1 % was captured
    pair.positions.done(0)
    pair.marks[0].frame(mark(5, rate="-0.0002"))
    pair.run(0.3)
    said = pair.said()
    assert of(SignalType.POSITION_CLOSE, said)[-1].values[0] == 1.0
    pair.marks[0].frame(mark(6, rate="-0.0002"))
    pair.run(1.1)
    assert of(SignalType.REAL_TIME_FUNDING_RISK, pair.said())[-1].values == [1.0, -0.0002, -1.0]


def test_what_a_trigger_waits_for_is_read_before_anything_else_is_said(pair):
    turns, awaited = [], {signal_index(SignalType.ADAPTIVE_SPREAD_DEVIATION, 0), signal_index(SignalType.POSITION_CLOSE, 0)}
    role = pair.role
    role.board.plug_collector(lambda: turns.append([said.kind for said in pair.said()]), awaited.__contains__)
    role._plug_signals(role._make_signals(role.parameters))  # as after a reload
    pair.perpetual[0].frame(ticker(20, "100.2", "100.3"))
    pair.run(0.5)
    turns.clear()
    pair.said()
    pair.perpetual[1].frame(ticker(21, "100.3", "100.4"))
    assert turns == [[SignalType.ADAPTIVE_SPREAD_DEVIATION]]
    assert [said.kind for said in pair.said()] == [SignalType.FIXED_SPREAD_DEVIATION], "nobody waits for it"
    turns.clear()
    pair.run(0.5)
    assert turns, "refreshes are read one by one, too"
    assert all(turn[-1] == SignalType.ADAPTIVE_SPREAD_DEVIATION for turn in turns)


def test_the_way_out_of_a_pair_is_decided_before_the_way_in(pair):
    turns, role = [], pair.role
    role.board.plug_collector(lambda: turns.append([said.kind for said in pair.said()]), lambda index: True)
    role._plug_signals(role._make_signals(role.parameters))  # as after a reload
    row = pair.positions.edit(0)
    row.pair_direction, row.pair_opened_ns = -1, pair.clock.monotonic_ns()
    row.pair_entry_spread_e8 = 500_000  # 0.5 % was captured …
    pair.positions.done(0)
    pair.perpetual[0].frame(ticker(21, "100.4", "100.5"))  # … and would be given back now …
    pair.run(0.5)
    turns.clear()
    pair.perpetual[1].frame(ticker(22, "100.0", "100.1"))  # … but not from this tick on.
    kinds = [turn[-1] for turn in turns]
    assert kinds[0] == SignalType.POSITION_CLOSE
    assert SignalType.ADAPTIVE_SPREAD_DEVIATION in kinds[1:]


def test_a_read_that_moves_much_is_carried_in_one_pass(make_bench):
    bench = make_bench((0,), signals=SignalsParameters(book_top=BookTopParameters((0,), refresh_ms=10_000, every_update=True)))
    bench.open_all()
    one, two = bench.network.live()
    synchronise(bench, (one, two))
    bench.said()
    turns = []
    bench.role.board.plug_collector(lambda: turns.append(len(bench.said())), lambda index: True)
    one.read(*(ticker(20 + number, bid=f"{90 + number}.00") for number in range(10)))
    assert turns == [1] * TURNS_PER_READ_MAX
    assert len(bench.said()) == 10 - TURNS_PER_READ_MAX
    bench.clock.advance(1)
    one.read(ticker(40, bid="99.50"))
    assert turns == [1] * (TURNS_PER_READ_MAX + 1), "the next read is another one"


def test_while_the_ring_is_full_the_newest_signal_waits_and_the_skipped_are_counted(make_bench):
    bench = make_bench((0,), capacity=4, signals=SignalsParameters(book_top=BookTopParameters((0,), refresh_ms=10_000)))
    bench.open_all()
    one, two = bench.network.live()
    synchronise(bench, (one, two))
    bench.said()
    for number in range(10):
        one.frame(ticker(20 + number, bid=f"{90 + number}.00"))
    assert [said.tops[0] for said in bench.said()] == [9000, 9100, 9200, 9300]
    bench.work()
    assert [said.tops[0] for said in bench.said()] == [9900]
    bench.run(0.2)
    assert bench.counter(Counter.SIGNALS_SKIPPED) == 5


def test_a_row_is_shown_before_the_signal_that_was_made_from_it(spot):
    spot.one.frame(ticker(20, bid="99.98"))
    assert spot.tops.read(0).bid_ticks == 9998
    assert spot.said()[0].tops[0] == 9998


def test_a_signal_of_the_users_own_is_loaded_from_a_file_and_one_that_fails_is_switched_off(make_bench, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from reactor.feed.signals.signal import SIGNAL_USER, Signal\n"
        "class Mine(Signal):\n"
        "    signal_type = SIGNAL_USER + 3\n"
        "    value_count = 1\n"
        "    def __init__(self, context, bound=0):\n"
        "        super().__init__(context)\n"
        "        self.bound = bound\n"
        "    def update(self, tops, now_ns):\n"
        "        if tops[0].bid_ticks > self.bound: raise ValueError('too high')\n"
        "        self.values[0] = tops[0].bid_ticks * 2.0\n"
        "        self.is_valid = True\n"
        "        return True\n"
    )
    user = UserSignalParameters(str(file), "Mine", 0, parameters={"bound": 10_050})
    bench = make_bench((0,), signals=SignalsParameters(user=(user,)))
    bench.open_all()
    synchronise(bench, bench.network.live())
    bench.said()
    bench.network.live()[0].frame(ticker(20, bid="99.00"))
    said = bench.said()
    assert (said[0].kind, said[0].values) == (SignalType.USER + 3, [19800.0])
    bench.network.live()[0].frame(ticker(21, bid="100.60", ask="100.70"))
    bench.network.live()[0].frame(ticker(22, bid="99.00", ask="100.70"))
    assert bench.said() == []
    assert bench.counter(Counter.SIGNAL_FAILURES) == 1


def test_new_thresholds_take_effect_without_a_restart_and_bad_ones_are_refused(make_bench):
    parameters = FeedParameters((0, 1), pairs=((0, 1),))
    other = SignalsParameters(fixed_spread=None, funding_direction=None, adaptive_spread=None, position_close=None)
    plans = {7: FeedParameters((0, 1), pairs=((0, 1),), signals=other)}
    bench = make_bench((0, 1), pairs=parameters.pairs, ports={"reload": lambda generation: plans[generation]})
    assert len(bench.role.board.places) == 5
    say(bench, ControlKind.RELOAD, "")
    bench.run(0.02)
    assert [type(place.signal).__name__ for place in bench.role.board.places] == ["FundingRisk"]
    bad = SignalsParameters(user=(UserSignalParameters("/nowhere.py", "X", 0),))
    plans[7] = FeedParameters((0, 1), signals=bad)
    say(bench, ControlKind.RELOAD, "")
    bench.run(0.02)
    assert len(bench.role.board.places) == 1
    assert "reload refused" in bench.texts()


# ---- strategies -----------------------------------------------------------------------------------------------


class Grid:
    """Wants what the test says."""

    name = "grid"
    instrument_index = 0
    update_interval_ms = 50

    def __init__(self):
        self.wanted = []
        self.asked = 0
        self.responses = []

    def decide(self, view, now_ns):
        self.asked += 1
        assert view.book.best_bid()[0] > 0
        return self.wanted

    def on_response(self, response, now_ns):
        self.responses.append(response.order_id)


def hosted(make_bench, capacity=256):
    strategy = Grid()
    bench = make_bench((0,), capacity=capacity, ports={"strategies": [strategy]})
    bench.open_all()
    synchronise(bench, bench.network.live())
    bench.said(lane=1)
    return bench, strategy


def test_a_grid_goes_out_in_parts_with_one_id_and_the_last_part_marked(make_bench):
    bench, strategy = hosted(make_bench)
    strategy.wanted = [Quote(100 + number, -1 if number % 2 else 1) for number in range(8)]
    bench.network.live()[0].frame(ticker(20, bid="99.00"))
    bench.run(0.06)
    first, second = bench.said(lane=1)
    assert first.quotes + second.quotes == [(100 + number, -1 if number % 2 else 1) for number in range(8)]
    assert (first.flags, second.flags) == (0, 8)
    assert first.signal_id == second.signal_id
    assert first.kind == SignalType.STRATEGY_QUOTES


def test_an_empty_grid_is_said_and_none_is_not(make_bench):
    bench, strategy = hosted(make_bench)
    bench.run(1.1)
    bench.said(lane=1)
    strategy.wanted = None
    bench.run(1.1)
    assert bench.said(lane=1) == []
    strategy.wanted = []
    bench.run(1.1)
    assert [said.quotes for said in bench.said(lane=1)] == [[]]


def test_a_full_ring_loses_no_grid_and_the_strategy_is_not_asked_meanwhile(make_bench):
    bench, strategy = hosted(make_bench, capacity=4)
    bench.run(0.06)
    bench.said(lane=1)
    strategy.wanted = [Quote(1, 1)] * 18  # three parts
    bench.network.live()[0].frame(ticker(20, bid="99.00"))
    bench.run(0.06)
    bench.network.live()[0].frame(ticker(21, bid="98.00"))
    bench.run(0.06)
    asked = strategy.asked
    bench.network.live()[0].frame(ticker(22, bid="97.00"))
    bench.run(0.2)
    assert strategy.asked == asked
    assert bench.counter(Counter.STRATEGY_STALLS) > 0
    assert len(bench.said(lane=1)) == 3
    bench.work()
    assert len(bench.said(lane=1)) == 3


def test_a_book_that_is_lost_withdraws_the_quotes_made_on_it(make_bench):
    bench, strategy = hosted(make_bench)
    strategy.wanted = [Quote(100, 1)]
    bench.run(1.1)
    assert bench.said(lane=1)[-1].quotes == [(100, 1)]
    for socket in bench.network.live():
        socket.drop()
    bench.run(0.05)
    assert [said.quotes for said in bench.said(lane=1)] == [[]]
    asked = strategy.asked
    bench.run(2)
    assert strategy.asked == asked


def test_a_strategy_that_fails_withdraws_its_quotes_and_the_feed_goes_on(make_bench):
    bench, strategy = hosted(make_bench)
    strategy.wanted = 5
    bench.network.live()[0].frame(ticker(20, bid="99.00"))
    bench.run(0.1)
    assert bench.said(lane=1)[-1].quotes == []
    assert "strategy switched off: it failed" in bench.texts()


# ---- strangers ------------------------------------------------------------------------------------------------


def test_nothing_a_venue_sends_can_end_the_feed(spot):
    junk = [b"", b"\x00", b"{", b"[]", b"null", b'{"data":1}', b'{"stream":"x","data":{"e":"kline"}}', b"\xff" * 1000,
            b'{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"b":[["x","1"]],"a":[]}', orjson.dumps(ticker(9, symbol="NOBODY")),
            b'{"e":"trade","s":"BTCUSDT","t":-5,"p":"1","q":"1"}', b'{"a":"' + b"x" * 10_000_000]  # fmt: skip
    for payload in junk:
        spot.one.frame(payload)
    spot.run(0.2)
    assert spot.counter(Counter.REFUSED) >= len(junk) - 2
    assert spot.counter(Counter.MALFORMED) >= 6
    spot.one.frame(ticker(99, bid="99.97"))
    assert spot.said()[-1].tops[0] == 9997


def test_a_symbol_of_a_subscriber_is_followed_by_its_frames(make_bench):
    bench = make_bench((0,))
    bench.open_all()
    taken = []

    class Tap:
        is_heard = True

        def tap(self, kind, symbol, index, session, payload, receive_ns):
            taken.append((kind, symbol, bytes(payload)))

    bench.role.venues[0].tap = Tap()
    say(bench, ControlKind.SUBSCRIBE, "binance_spot:DOGEUSDT")
    say(bench, ControlKind.SUBSCRIBE, "binance_usdm:DOGEUSDT")  # another feed's venue
    bench.run(0.5)
    one, two = bench.network.live()
    assert one.streams()[-3:] == ["dogeusdt@bookTicker", "dogeusdt@depth@100ms", "dogeusdt@trade"]
    for socket in (one, two):
        socket.frame(ticker(5, symbol="DOGEUSDT", bid="0.12345"))
        socket.frame(depth(5, 6, [["0.123456", "1"]], symbol="DOGEUSDT"))
    assert [(kind, symbol) for kind, symbol, _ in taken] == [(2, "DOGEUSDT"), (3, "DOGEUSDT")]
    one.drop()
    two.drop()
    bench.run(1)


def test_stopping_closes_every_session_and_opens_none(spot):
    spot.role.on_stop(spot.clock.monotonic_ns())
    spot.run(1)
    assert spot.network.live() == []
    assert len(spot.network.sockets) == 2
