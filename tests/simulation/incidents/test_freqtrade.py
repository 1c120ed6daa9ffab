"""Incidents of freqtrade (freqtrade/freqtrade)."""

from typing import Any

from scenario import MAKER, SPOT, USDM, scenario

from reactor.sim.events import Refusal
from reactor.sim.faults import FaultParameters
from reactor.sim.world.time import SECOND


def test_not_found_right_after_placing_is_not_believed() -> None:
    # freqtrade #4403 (and ccxt #1786): for a while after placing, the venue says "Order does not exist"; the order was lost.
    with scenario() as world:
        for venue in (SPOT, USDM):
            blind(world, venue, 3 * SECOND)
        world.fault_plan.switch(FaultParameters(answer_lost_rate=1.0))
        world.cloud.cut("", "private")
        world.run_for(6.0)
        world.fault_plan.switch(FaultParameters())
        world.run_for(6.0)
        assert world.booked() == world.fills(SPOT) + world.fills(USDM)


def blind(world: Any, venue: str, for_ns: int) -> None:
    """The venue's order query does not see an order younger than `for_ns`."""
    core = world.core(venue)
    query = core.query

    def seen(account_id: int, fields: Any, now_ns: int) -> Any:
        answer = query(account_id, fields, now_ns)
        if not isinstance(answer, Refusal) and world.time.exchange_ns() - answer.created_ns < for_ns:
            return Refusal(-2013, "Order does not exist.")
        return answer

    core.query = seen


def test_a_cancel_that_comes_too_late_is_no_crash() -> None:
    # freqtrade #3208: "Unknown order sent" when cancelling an order that had just filled ended the bot.
    with scenario((*MAKER, "strategy.pair_terms.requote_ticks=1")) as world:
        world.cloud.weather.latency_ns = 80_000_000  # Cancels and fills cross.
        world.run_for(8.0)
        world.cloud.weather.latency_ns = 400_000
        assert world.desk.orders.illegal == 0


def test_a_fee_taken_in_the_coin_leaves_no_order_that_cannot_be_paid() -> None:
    # freqtrade #4324 and #1371: the fee came out of the bought coin; the sale asked for more than there was, for ever.
    with scenario(flattens=True) as world:
        refused: list[Any] = []
        core = world.core(SPOT)
        place = core.place

        def watched(account_id: int, fields: Any, now_ns: int, *, is_test: bool = False) -> Any:
            answer = place(account_id, fields, now_ns, is_test=is_test)
            if isinstance(answer, Refusal):
                refused.append(answer)
            return answer

        core.place = watched
        world.until(lambda: world.desk.pairs_closed >= 2)
        assert not refused
