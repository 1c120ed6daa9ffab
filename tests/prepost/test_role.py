"""The room as a whole: rings in, rings out, a scripted venue behind them."""

from prepost_room import PERP, SPOT, Room

from reactor.domain.messages import FLAG_HEDGE, FLAG_REDUCE_ONLY, Reason, ResponseKind
from reactor.prepost.pairs import PairState


def test_a_pair_opens_hedges_and_closes_and_ends_flat(room: Room):
    room.open()
    room.settle()
    spot, hedge = room.venue.places
    assert (spot.instrument_index, spot.side, spot.quantity_lots) == (SPOT, 1, 200)
    assert (hedge.instrument_index, hedge.side, hedge.quantity_lots) == (PERP, -1, 2)
    assert hedge.flags & FLAG_HEDGE
    assert room.desk.pairs[0].state == PairState.OPEN
    assert len(room.kinds(ResponseKind.PAIR_OPENED)) == 1
    room.check_books()
    room.close()
    room.settle()
    back, buy = room.venue.places[2:]
    assert {back.instrument_index, buy.instrument_index} == {SPOT, PERP}
    assert next(order for order in (back, buy) if order.instrument_index == PERP).flags & FLAG_REDUCE_ONLY
    assert room.venue.positions[PERP] == 0
    assert room.desk.pairs[0].state == PairState.IDLE
    assert len(room.kinds(ResponseKind.PAIR_CLOSED)) == 1
    assert abs(room.desk.positions[SPOT].base_e8) < 1000, "less than a lot is carried"
    room.check_books()


def test_nothing_opens_before_the_books_agree(make_room):
    room = make_room()
    room.open()
    room.settle()
    assert room.venue.places == []
    assert room.refusals() in ([Reason.NO_SESSION], [Reason.NOT_RECONCILED], [Reason.TOTAL_EXPOSURE])
