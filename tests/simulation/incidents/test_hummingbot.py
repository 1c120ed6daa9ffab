"""Incidents of hummingbot (hummingbot/hummingbot)."""

from typing import Any

from scenario import MAKER, SPOT, USDM, scenario

from reactor.sim.events import Refusal
from reactor.sim.faults import FaultParameters
from reactor.sim.world.time import MS, SECOND


def test_a_network_error_is_not_order_not_found() -> None:
    # hummingbot #8457: during a DNS outage failed status requests were counted as "not found" until six resting orders were
    # forgotten; they filled into a short position that nobody tracked.
    with scenario(MAKER) as world:
        world.next_place(SPOT, lambda: world.cloud.outages.update({SPOT: world.time.now_ns + 6 * SECOND}))
        world.until(lambda: world.cloud.is_out(SPOT))
        world.run_for(9.0)
        assert world.desk.orders.illegal == 0


def test_depth_deltas_are_applied_along_their_chain_only() -> None:
    # hummingbot #8291: futures depth deltas were applied without looking at `pu`; a lost message left a wrong book.
    with scenario() as world:
        world.cloud.weather.drop_rate = 0.2
        world.cloud.weather.reorder_rate = 0.2
        world.run_for(4.0)
        world.cloud.weather.calm()
        world.run_for(3.0)
        top = world.house.tops()
        for index, venue in enumerate((SPOT, USDM)):
            ours, theirs = top(index), world.core(venue).book_ticker("BTCUSDT")
            assert ours.is_synchronised
            assert abs(ours.bid_ticks - theirs.bid_ticks) * 10_000 < ours.bid_ticks


def test_the_user_stream_comes_back_after_a_change_of_network() -> None:
    # hummingbot #7590: after the host's network changed, the user stream never recovered; fills were no longer seen.
    with scenario() as world:
        world.until(world.has_position)
        world.cloud.outages.update({SPOT: world.time.now_ns + 2 * SECOND, USDM: world.time.now_ns + 2 * SECOND})
        world.cloud.cut()
        world.run_for(5.0)
        before = world.fills(USDM)
        world.until(lambda: world.fills(USDM) > before)
        world.until(lambda: world.booked() == world.fills(SPOT) + world.fills(USDM), 1.0)


def test_a_timeout_is_no_failure_and_nothing_is_sent_again() -> None:
    # hummingbot #493 (binance, multi): timeouts were treated as failed orders; duplicates stayed open for days.
    # The same in scrtlabs/catalyst #317: a read timeout, "Ordering again", and the order was there twice.
    with scenario() as world:
        world.fault_plan.switch(FaultParameters(answer_lost_rate=1.0))
        world.run_for(8.0)
        world.fault_plan.switch(FaultParameters())
        for venue in (SPOT, USDM):
            for order in world.account(venue).orders.values():
                executed = sum(fill.quantity_lots for fill in world.account(venue).fills if fill.order_id == order.order_id)
                assert executed <= order.quantity_lots
        assert world.desk.duplicates_detected == 0


def test_an_order_that_fills_before_its_ack_is_no_ghost() -> None:
    # hummingbot #905: an order filled at once; the fill came before the order was known, and it stayed "active" for ever.
    with scenario() as world:
        world.fault_plan.switch(FaultParameters(latency_ms_mean=200.0))  # Answers are late, the user stream is not.
        world.until(lambda: world.fills(SPOT) >= 2)
        world.run_for(1.0)
        world.fault_plan.switch(FaultParameters())
        world.run_for(3.0)
        assert world.booked() == world.fills(SPOT) + world.fills(USDM)


def test_a_fill_around_a_restart_is_booked_once() -> None:
    # hummingbot #2945: an order filled while the strategy was stopped; after the start the same fill was recorded twice.
    with scenario() as world:
        world.next_place(SPOT, lambda: world.supervisor.crash("prepost", "stopped", 300 * MS))
        world.until(lambda: world.house.role("prepost") is None)
        world.run_for(4.0)
        assert world.booked() == world.fills(SPOT) + world.fills(USDM)


def test_cancels_of_an_order_that_is_gone_do_not_flood_the_venue() -> None:
    # hummingbot #6006 and #6537: "Unknown order sent" was not understood; cancels were repeated until the address was banned.
    with scenario(MAKER) as world:
        core = world.core(SPOT)
        cancel, asked = core.cancel, [0]

        def refuses(account_id: int, fields: Any, now_ns: int) -> Any:
            asked[0] += 1
            return Refusal(-2011, "Unknown order sent.")

        world.until(lambda: bool(world.resting()))
        core.cancel = refuses
        world.run_for(5.0)
        core.cancel = cancel
        assert 0 < asked[0] < 60


def test_no_ghost_stays_when_the_fill_was_lost_with_the_stream() -> None:
    # hummingbot #3001 and #1357: orders that had filled, or were never confirmed, stayed in the bot and blocked it.
    with scenario(MAKER) as world:
        world.next_place(SPOT, lambda: world.cloud.cut(SPOT) and None)
        world.run_for(6.0)
        known = {order.client_order_id.decode() for order in world.desk.orders.unsettled.values()}
        there = {order.client_order_id for venue in (SPOT, USDM) for order in world.resting(venue)}
        assert there <= known, "what is open there is known here"
