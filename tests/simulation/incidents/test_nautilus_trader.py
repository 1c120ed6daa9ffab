"""Incidents of nautilus_trader (nautechsystems/nautilus_trader)."""

from scenario import MAKER, SPOT, USDM, scenario

from reactor.journal.history import Reader
from reactor.sim.world.time import MS


def test_a_working_order_survives_the_comparison_at_start_or_is_cancelled() -> None:
    # nautilus_trader #5000: start-up reconciliation dropped working orders; they went on working at the venue.
    with scenario(MAKER) as world:
        world.until(lambda: bool(world.resting()))
        world.supervisor.crash("prepost", "starts anew", 50 * MS)
        world.run_for(3.0)
        known = {order.client_order_id.decode() for order in world.desk.orders.unsettled.values()}
        assert {order.client_order_id for order in world.resting()} <= known


def test_reconciliation_invents_no_fills() -> None:
    # nautilus_trader #4739: reconciliation made synthetic fills to explain a difference, and positions were wrong for good.
    with scenario() as world:
        world.until(world.has_position)
        world.cloud.cut(USDM)
        world.supervisor.crash("prepost", "starts anew", 50 * MS)
        world.run_for(3.0)
        theirs = {(fill.trade_id, fill.rules.symbol) for venue in (SPOT, USDM) for fill in world.account(venue).fills}
        with Reader(world.house.journal_path) as reader:
            ours = {(row["trade_id"], row["symbol"]) for row in reader.rows("SELECT trade_id, symbol FROM fills")}
        assert ours <= theirs


def test_a_fill_while_the_socket_was_down_is_found_again() -> None:
    # nautilus_trader PR #4991: cancels and fills that happened while the user stream was reconnecting were lost.
    with scenario() as world:
        world.cloud.weather.refuse_rate = 0.8
        world.next_place(SPOT, lambda: world.cloud.cut(SPOT) and None)
        world.run_for(4.0)
        world.cloud.weather.calm()
        world.run_for(6.0)
        world.until(lambda: world.booked() == world.fills(SPOT) + world.fills(USDM), 0.5)  # One may be on its way just now.


def test_trade_ids_seen_before_do_not_stop_a_start() -> None:
    # nautilus_trader #3046 and #1205: fills replayed from the cache met themselves again; the engine refused to start.
    with scenario() as world:
        world.cloud.weather.duplicate_rate = 1.0
        world.until(world.has_position)
        for _ in range(3):
            world.supervisor.crash("prepost", "starts anew", 50 * MS)
            world.run_for(1.0)
        assert world.desk.is_reconciled
        assert world.booked() == world.fills(SPOT) + world.fills(USDM)


def test_a_warm_restart_keeps_the_position_and_its_hedge() -> None:
    # nautilus_trader #4736: a restart with an open position closed it in the cache; the strategy opened a second one.
    with scenario(("strategy.signals.position_close.age_s_max=0",)) as world:
        world.until(world.has_position)
        lots = [position.base_e8 for position in world.desk.positions]
        orders = len(world.all_client_ids())
        world.supervisor.crash("prepost", "starts anew", 50 * MS)
        world.run_for(0.5)
        assert [position.base_e8 for position in world.desk.positions] == lots
        assert len(world.all_client_ids()) <= orders + 2, "nothing is opened or hedged a second time"
