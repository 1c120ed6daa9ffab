"""A glance makes the bytes of a place for nobody; none of them leaves, and nothing of it stays."""

from engine_stand import SPOT, USDM, Stand, placed

from reactor.engine.counters import Counter


def sent(stand: Stand) -> int:
    return sum(len(line.sent) for venue in (SPOT, USDM) for line in stand.order_sessions(venue))


def test_a_glance_sends_nothing_counts_nothing_and_leaves_no_request_open(stand: Stand) -> None:
    before, counters = sent(stand), [stand.metrics.get(counter) for counter in Counter]
    for _ in range(20):
        stand.role.glance()
    assert sent(stand) == before
    assert [stand.metrics.get(counter) for counter in Counter] == counters
    assert len(stand.role._in_flight) == 0
    assert not stand.reports_now()


def test_between_glances_places_go_out_as_ever(stand: Stand) -> None:
    names = set()
    for _ in range(3):
        stand.role.glance()
        names.add(placed(stand))
    assert len(names) == stand.role._requests.places_sent == 3


def test_a_glance_before_any_connection_is_harmless() -> None:
    Stand().role.glance()
