"""Incidents of hftbacktest's live connectors (nkaz001/hftbacktest)."""

from scenario import SPOT, USDM, scenario

from reactor.domain.ids import ClientIds, order_id_of
from reactor.sim.events import Placed


def test_client_ids_never_collide_however_often_prepost_starts_again() -> None:
    # hftbacktest #87: random client order ids collided, and an order's updates were taken for another's.
    with scenario() as world:
        for _ in range(3):
            world.until(world.has_position)
            world.supervisor.crash("prepost", "kill -9", 100_000_000)
            world.run_for(1.0)
    ids = world.all_client_ids()
    assert len(ids) >= 6
    assert len(set(ids)) == len(ids)


def test_an_order_of_an_earlier_run_is_recognised_and_cancelled() -> None:
    # hftbacktest #176: updates came for orders that an earlier run had placed; nobody knew them, and they stayed open.
    with scenario() as world:
        name = ClientIds("ct").client_order_id(order_id_of(3, 77))
        for venue in (SPOT, USDM):
            core = world.core(venue)
            rules = core.symbols["BTCUSDT"]
            price = rules.price_text(int(core.mid_e8("BTCUSDT") * 0.98) // rules.tick_e8)
            fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
            answer = core.place(1, fields | {"price": price, "newClientOrderId": name}, world.time.exchange_ns())
            assert isinstance(answer, Placed)
        world.supervisor.crash("prepost", "starts anew", 100_000_000)
        world.run_for(3.0)
        assert not [order for venue in (SPOT, USDM) for order in world.resting(venue) if name in order.client_order_id]


def test_depth_events_during_a_slow_snapshot_are_kept_and_the_book_is_the_venues() -> None:
    # hftbacktest #300: events received while the REST snapshot was on its way were dropped, update ids were not checked.
    with scenario() as world:
        world.cloud.weather.latency_ns = 150_000_000
        world.cloud.weather.drop_rate = 0.05
        world.supervisor.crash("feed-0", "starts anew", 50_000_000)
        world.run_for(5.0)
        world.cloud.weather.latency_ns = 400_000
        world.cloud.weather.drop_rate = 0.0
        world.run_for(3.0)
        assert_books_are_the_venues(world)


def assert_books_are_the_venues(world) -> None:  # type: ignore[no-untyped-def]
    top = world.house.tops()
    for index, venue in enumerate((SPOT, USDM)):
        ours, theirs = top(index), world.core(venue).book_ticker("BTCUSDT")
        assert ours.is_synchronised
        assert abs(ours.bid_ticks - theirs.bid_ticks) * 10_000 < ours.bid_ticks, (
            "within a basis point: one message is under way"
        )
