"""What prepost owes a strategy of a process of its own: rungs without cooldown, every end told, nothing left behind."""

from typing import Any

from prepost_room import SPOT, Room, rests, says_nothing

from reactor.domain.messages import FLAG_QUOTE, NO_INSTRUMENT, EventKind, OrderStatus, Reason, ReportKind, ResponseKind

MS = 1_000_000


def kinds(room: Room) -> list[str]:
    return [ResponseKind(response.header.kind).name for response in room.strategy_responses]


def test_rungs_of_a_strategy_wait_for_no_cooldown_and_single_orders_do(make_room: Any) -> None:
    room = make_room()
    room.start_trading()
    room.venue.script = [rests]
    for rung in range(3):
        room.order(1, 200, 6_499_000 - rung, flags=FLAG_QUOTE)
    room.settle()
    assert room.refusals() == []
    room.order(1, 200, 6_498_000)
    room.order(1, 200, 6_497_000)
    room.settle()
    assert room.refusals() == [Reason.PENDING_ORDERS, Reason.PENDING_ORDERS], "quotes_max is the rungs' limit, not theirs"


def test_an_end_that_only_a_question_found_is_told_all_the_same(room: Room, monkeypatch: Any) -> None:
    room.venue.script = [rests]
    room.order(1, 200, 6_499_000)
    room.settle()
    venue = room.venue
    order = venue.places[0]

    def lose(command: Any) -> None:
        order.status = int(OrderStatus.CANCELLED)
        venue.say_about(command, ReportKind.CANCEL_REJECT, reason=int(Reason.UNKNOWN_ORDER))

    monkeypatch.setattr(venue, "_cancel", lose)
    room.event(EventKind.CANCEL, SPOT, NO_INSTRUMENT, lane=1, target_order_id=order.order_id)
    room.run(2_000)
    assert kinds(room)[-1] == "CLOSED"
    assert room.strategy_responses[-1].header.order_id == order.order_id


def test_every_response_says_how_many_fills_its_position_is_made_of(room: Room) -> None:
    room.order(1, 200, 6_500_001)
    room.settle()
    fill = next(each for each in room.strategy_responses if each.header.kind == ResponseKind.FILL)
    assert (fill.position_lots, fill.position_fills) == (room.desk.positions[SPOT].lots, 1)


def test_orders_of_a_strategy_that_gives_no_sign_of_life_go(room: Room) -> None:
    alive = [True, True]
    room.role._ports.strategies_alive = {0: lambda now_ns: alive[0], 1: lambda now_ns: alive[1]}
    room.venue.script = [rests]
    room.order(1, 200, 6_499_000, strategy_index=0, flags=FLAG_QUOTE)
    room.order(1, 200, 6_498_000, strategy_index=1, flags=FLAG_QUOTE)
    room.settle()
    alive[1] = False
    room.run(500)
    assert [order.is_open for order in room.venue.places] == [True, False]


def test_an_order_that_never_left_the_house_is_told_as_closed(make_room: Any) -> None:
    room = make_room(commands=64)
    room.start_trading()
    room.venue.script = [says_nothing]
    room.order(1, 200, 6_499_000)
    room.turn()
    order = next(room.desk.orders.live())
    order.state = 2  # SUBMITTING: held, the ring was full
    room.desk.cancel(order)
    room.role.out.commit()
    room.turn()
    assert kinds(room)[-1] == "CLOSED"
