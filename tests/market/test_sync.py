"""The synchronisation: the venues' rules, the table, real captures, and a stateful model with two lossy sessions."""

import gzip
import os
from itertools import product
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reactor.domain.instrument import Instrument
from reactor.domain.messages import Side
from reactor.market.book import Book
from reactor.market.intake import FrameDecoder, FrameKind, Symbols
from reactor.market.sync import BRIDGE_NS, TRANSITIONS, BookSync, SyncEvent, SyncRule, SyncState, Verdict

CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", Path(__file__).parents[2] / "../shared/data")) / "captures"
SPOT, FUTURES = SyncRule.CONTIGUOUS, SyncRule.CHAINED


def offer(sync, first_id, final_id, previous_id=-1, now_ns=0, can_bridge=False):
    verdict = sync.on_delta(first_id, final_id, previous_id, now_ns, can_bridge)
    if verdict is Verdict.KEEP:
        sync.keep(first_id, final_id, previous_id, final_id)
    return verdict


def ready(sync):
    return [delta.payload for delta in sync.take_ready()]


# ---- the table ------------------------------------------------------------------------------------------------


def test_every_pair_outside_the_table_is_refused_counted_and_changes_nothing():
    for state, event in product(SyncState, SyncEvent):
        sync = BookSync(SPOT)
        sync.state = state
        verdict = sync._step(event)
        if (state, event) in TRANSITIONS:
            assert (sync.state, verdict) == TRANSITIONS[state, event]
            assert sync.refused == 0
        else:
            assert (sync.state, verdict, sync.refused) == (state, Verdict.REFUSED, 1)


def test_only_the_way_into_buffering_asks_for_a_snapshot():
    for (state, event), (target, _) in TRANSITIONS.items():
        sync = BookSync(SPOT)
        sync.state = state
        sync._step(event)
        assert sync.needs_snapshot == (target is SyncState.BUFFERING and state is not SyncState.BUFFERING)


# ---- spot -----------------------------------------------------------------------------------------------------


def test_spot_the_event_that_covers_the_snapshot_may_arrive_before_it():
    sync = BookSync(SPOT)
    assert offer(sync, 100, 110) is Verdict.KEEP
    assert sync.needs_snapshot
    sync.on_request()
    offer(sync, 111, 120)
    offer(sync, 121, 130)
    assert sync.on_snapshot(115) is Verdict.LOAD
    assert ready(sync) == [120, 130]
    assert sync.is_synchronised
    assert sync.local_id == 130
    assert offer(sync, 131, 140) is Verdict.APPLY


def test_spot_a_snapshot_older_than_the_first_event_is_fetched_again():
    sync = BookSync(SPOT)
    offer(sync, 100, 110)
    sync.on_request()
    assert sync.on_snapshot(99) is Verdict.WAIT
    assert sync.needs_snapshot
    sync.on_request()
    assert sync.on_snapshot(100) is Verdict.LOAD
    assert ready(sync) == [110]


def test_spot_a_snapshot_that_ends_with_the_last_event_is_complete():
    sync = BookSync(SPOT)
    offer(sync, 100, 110)
    assert sync.on_snapshot(110) is Verdict.LOAD
    assert ready(sync) == []
    assert sync.is_synchronised
    assert offer(sync, 111, 111) is Verdict.APPLY


def test_a_snapshot_ahead_of_the_stream_waits_for_the_event_that_overlaps_it():
    sync = BookSync(SPOT)
    offer(sync, 100, 110)
    assert sync.on_snapshot(150) is Verdict.LOAD
    assert ready(sync) == []
    assert sync.state is SyncState.ANCHORING
    assert offer(sync, 111, 149) is Verdict.IGNORE
    assert offer(sync, 150, 160) is Verdict.APPLY
    assert sync.is_synchronised


def test_spot_a_lost_event_starts_over_and_is_counted():
    sync = BookSync(SPOT)
    offer(sync, 1, 10)
    sync.on_snapshot(10)
    ready(sync)
    assert offer(sync, 12, 20) is Verdict.KEEP
    assert (sync.state, sync.resyncs, sync.gaps, sync.needs_snapshot) == (SyncState.BUFFERING, 1, 1, True)
    sync.on_request()
    assert sync.on_snapshot(15) is Verdict.LOAD
    assert ready(sync) == [20]
    assert sync.is_synchronised


def test_what_is_known_is_ignored():
    sync = BookSync(SPOT)
    offer(sync, 1, 10)
    sync.on_snapshot(10)
    ready(sync)
    assert offer(sync, 1, 10) is Verdict.IGNORE
    assert offer(sync, 5, 9) is Verdict.IGNORE


# ---- futures --------------------------------------------------------------------------------------------------


def test_futures_continue_by_the_previous_id_although_the_first_id_jumps():
    sync = BookSync(FUTURES)
    offer(sync, 100, 110, 90)
    assert sync.on_snapshot(105) is Verdict.LOAD
    assert ready(sync) == [110]
    assert offer(sync, 150, 160, 110) is Verdict.APPLY
    assert offer(sync, 190, 200, 160) is Verdict.APPLY
    assert offer(sync, 210, 220, 205) is Verdict.KEEP
    assert sync.resyncs == 1


def test_futures_the_first_event_holds_the_snapshot_or_starts_exactly_on_it():
    for snapshot, wanted in ((100, [110]), (110, [110]), (90, [110]), (99, None), (111, [])):
        sync = BookSync(FUTURES)
        offer(sync, 100, 110, 90)
        verdict = sync.on_snapshot(snapshot)
        assert verdict is (Verdict.WAIT if wanted is None else Verdict.LOAD), snapshot
        if wanted is not None:
            assert ready(sync) == wanted, snapshot


def test_futures_without_a_previous_id_are_never_believed():
    sync = BookSync(FUTURES)
    offer(sync, 100, 110, 90)
    sync.on_snapshot(105)
    ready(sync)
    assert offer(sync, 111, 120, -1) is Verdict.KEEP
    assert sync.resyncs == 1


# ---- gaps -----------------------------------------------------------------------------------------------------


def synchronised(rule=SPOT):
    sync = BookSync(rule)
    offer(sync, 1, 10, 0)
    sync.on_snapshot(10)
    ready(sync)
    return sync


def test_a_hole_while_buffering_makes_what_came_before_worthless():
    sync = BookSync(SPOT)
    offer(sync, 1, 10)
    offer(sync, 21, 30)
    assert sync.kept == 1
    assert sync.on_snapshot(15) is Verdict.WAIT
    assert sync.on_snapshot(25) is Verdict.LOAD
    assert ready(sync) == [30]


@pytest.mark.parametrize("rule", [SPOT, FUTURES])
def test_a_gap_on_one_session_is_bridged_by_the_other_without_a_snapshot(rule):
    sync = synchronised(rule)
    assert offer(sync, 21, 30, 20, now_ns=5, can_bridge=True) is Verdict.KEEP
    assert (sync.state, sync.seen_id, sync.needs_snapshot) == (SyncState.BRIDGING, 10, False)
    assert offer(sync, 31, 40, 30, can_bridge=True) is Verdict.KEEP
    assert offer(sync, 11, 20, 10, can_bridge=True) is Verdict.APPLY
    assert ready(sync) == [30, 40]
    assert (sync.is_synchronised, sync.local_id) == (True, 40)
    assert (sync.resyncs, sync.gaps, sync.bridged) == (0, 1, 1)


def test_two_holes_are_bridged_one_after_the_other():
    sync = synchronised()
    offer(sync, 21, 30, can_bridge=True)
    offer(sync, 41, 50, can_bridge=True)
    assert offer(sync, 11, 20, can_bridge=True) is Verdict.APPLY
    assert ready(sync) == [30]
    assert sync.state is SyncState.BRIDGING
    assert offer(sync, 31, 40, can_bridge=True) is Verdict.APPLY
    assert ready(sync) == [50]
    assert sync.is_synchronised


def test_a_bridge_that_nobody_completes_becomes_a_resync():
    sync = synchronised()
    offer(sync, 21, 30, now_ns=7, can_bridge=True)
    offer(sync, 41, 50, can_bridge=True)
    sync.on_time(7 + BRIDGE_NS - 1)
    assert sync.state is SyncState.BRIDGING
    sync.on_time(7 + BRIDGE_NS)
    assert (sync.state, sync.needs_snapshot, sync.resyncs, sync.kept) == (SyncState.BUFFERING, True, 1, 1)
    assert sync.on_snapshot(45) is Verdict.LOAD
    assert ready(sync) == [50]


def test_a_crossed_book_is_thrown_away():
    sync = synchronised()
    sync.on_crossed()
    assert (sync.state, sync.needs_snapshot, sync.resyncs) == (SyncState.BUFFERING, True, 1)


def test_a_late_snapshot_is_refused():
    sync = synchronised()
    assert sync.on_snapshot(99) is Verdict.REFUSED
    assert (sync.local_id, sync.refused) == (10, 1)


def test_a_failed_snapshot_is_asked_for_again():
    sync = BookSync(SPOT)
    offer(sync, 1, 10)
    sync.on_request()
    sync.on_snapshot_failed()
    assert sync.needs_snapshot


def test_a_reset_begins_anew_with_the_next_event():
    sync = synchronised()
    sync.reset()
    assert (sync.state, sync.local_id, sync.needs_snapshot) == (SyncState.IDLE, 0, False)
    assert offer(sync, 3, 4) is Verdict.KEEP


# ---- real captures --------------------------------------------------------------------------------------------


def instrument(symbol, price_decimals, quantity_decimals):
    return Instrument(
        instrument_index=0, venue=0, symbol=symbol, base_asset="BTC", quote_asset="USDT", price_decimals=price_decimals,
        tick_size=1, quantity_decimals=quantity_decimals, lot_size=1, quantity_lots_min=1, quantity_lots_max=10**9,
        market_quantity_lots_max=10**9, price_ticks_min=1, price_ticks_max=10**9, notional_min_e8=0, maker_fee_e8=0,
        taker_fee_e8=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "rule", "one"),
    [
        ("spot/btcusdt_20240808.gz", SPOT, instrument("BTCUSDT", 2, 8)),
        ("usdm/btcusdt_20240808.gz", FUTURES, instrument("BTCUSDT", 2, 3)),
        ("cm/btcusd_perp_20240808.gz", FUTURES, instrument("BTCUSD_PERP", 1, 0)),
    ],
)
def test_a_real_capture_synchronises_once_and_agrees_with_every_book_ticker_of_the_same_id(file, rule, one):
    path = CAPTURES / file
    if not path.exists():
        pytest.skip(f"no captures at {CAPTURES}: set CRYPTO_TRADE_DATA")
    symbols = Symbols()
    symbols.add(one)
    decoder = FrameDecoder(symbols)
    frame, buffer = decoder.frame, decoder.buffer
    sync, book, tickers, compared = BookSync(rule), Book(), {}, 0
    with gzip.open(path) as lines:
        for line in lines:
            kind = decoder.decode(line.split(b" ", 1)[1].rstrip(b"\n"), 0)
            bids = [(buffer.bids[i].price_ticks, buffer.bids[i].quantity_lots) for i in range(frame.bid_count)]
            asks = [(buffer.asks[i].price_ticks, buffer.asks[i].quantity_lots) for i in range(frame.ask_count)]
            if kind == FrameKind.BOOK_TICKER:
                bid, ask = frame.bid, frame.ask
                tickers = {frame.final_id: ((bid.price_ticks, bid.quantity_lots), (ask.price_ticks, ask.quantity_lots))}
            elif kind == FrameKind.SNAPSHOT:
                if sync.on_snapshot(frame.final_id) is Verdict.LOAD:
                    book.load_pairs(bids, asks, frame.final_id)
                    for delta in sync.take_ready():
                        book.apply_pairs(*delta.payload, delta.final_id)
            elif kind == FrameKind.DEPTH_UPDATE:
                ids = frame.first_id, frame.final_id, frame.previous_id
                verdict = sync.on_delta(*ids)
                if verdict is Verdict.KEEP:
                    sync.keep(*ids, (bids, asks))
                elif verdict is Verdict.APPLY:
                    assert not book.apply_pairs(bids, asks, frame.final_id) & 4, "a real book is never crossed"
                    if book.update_id in tickers:
                        assert (book.best_bid(), book.best_ask()) == tickers[book.update_id]
                        compared += 1
    assert sync.is_synchronised
    assert (sync.resyncs, sync.refused) == (0, 0)
    assert compared > 20
    assert book.count(int(Side.BUY)) > 900


# ---- the model ------------------------------------------------------------------------------------------------


class TwoLossySessions(RuleBasedStateMachine):
    """A venue that changes quantities at random; two sessions that lose, delay and repeat; REST that answers late.

    The truth: whenever the core says "synchronised", the book built by its verdicts is the venue's at `local_id`.
    """

    @initialize(rule=st.sampled_from(SyncRule))
    def begin(self, rule):
        self.rule = rule
        self.venue = {}
        self.venue_id = 100
        self.previous_final = 100
        self.history = {100: {}}
        self.queues = [[], []]
        self.pending_snapshots = []
        self.now_ns = 0
        self.sync = BookSync(rule)
        self.book = {}

    @rule(changes=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=3), skipped=st.integers(0, 3),
          losses=st.sampled_from([(), (0,), (1,), (0, 1), (), ()]))  # fmt: skip
    def the_venue_changes(self, changes, skipped, losses):
        first_id = self.venue_id + 1
        if self.rule is FUTURES:
            first_id += skipped  # Other symbols took these ids.
        for price, quantity in changes:
            self.venue[price] = quantity
        self.venue = {price: quantity for price, quantity in self.venue.items() if quantity}
        self.venue_id = first_id + len(changes) - 1
        delta = (first_id, self.venue_id, self.previous_final if self.rule is FUTURES else -1, dict(changes))
        self.previous_final = self.venue_id
        self.history[self.venue_id] = dict(self.venue)
        for session in (0, 1):
            if session not in losses:
                self.queues[session].append(delta)

    @precondition(lambda self: any(self.queues))
    @rule(session=st.sampled_from([0, 1]), count=st.integers(1, 5), can_bridge=st.booleans())
    def a_session_delivers(self, session, count, can_bridge):
        for _ in range(min(count, len(self.queues[session]))):
            first_id, final_id, previous_id, changes = self.queues[session].pop(0)
            self.now_ns += 1_000_000
            verdict = self.sync.on_delta(first_id, final_id, previous_id, self.now_ns, can_bridge)
            if verdict is Verdict.KEEP:
                self.sync.keep(first_id, final_id, previous_id, changes)
            elif verdict is Verdict.APPLY:
                self.apply(changes)
                for delta in self.sync.take_ready():
                    self.apply(delta.payload)

    @precondition(lambda self: self.sync.needs_snapshot)
    @rule()
    def a_snapshot_is_taken_at_the_venue(self):
        self.sync.on_request()
        self.pending_snapshots.append((self.previous_final, dict(self.venue)))

    @precondition(lambda self: self.pending_snapshots)
    @rule(fate=st.integers(0, 4))
    def the_snapshot_arrives(self, fate):
        last_update_id, content = self.pending_snapshots.pop(0)
        if fate == 4:
            self.sync.on_snapshot_failed()
        elif self.sync.on_snapshot(last_update_id) is Verdict.LOAD:
            self.book = dict(content)
            for delta in self.sync.take_ready():
                self.apply(delta.payload)

    @rule(passed_ns=st.integers(0, 2 * BRIDGE_NS))
    def time_passes(self, passed_ns):
        self.now_ns += passed_ns
        self.sync.on_time(self.now_ns)

    @rule(fate=st.integers(0, 9))
    def every_session_is_lost(self, fate):
        if fate != 9:
            return
        self.queues = [[], []]
        self.sync.reset()

    def apply(self, changes):
        self.book.update(changes)
        self.book = {price: quantity for price, quantity in self.book.items() if quantity}

    @invariant()
    def a_synchronised_book_is_the_venues(self):
        if self.sync.is_synchronised:
            assert self.book == self.history[self.sync.local_id]

    @invariant()
    def somebody_is_always_on_the_way_to_a_book(self):
        if self.sync.state is SyncState.BUFFERING:
            assert self.sync.needs_snapshot or self.pending_snapshots


TestTwoLossySessions = TwoLossySessions.TestCase
TestTwoLossySessions.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
