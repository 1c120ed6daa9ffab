"""The pool of order sessions, where it meets the request budget."""

from engine_stand import SPOT, Stand

MS = 1_000_000


def test_no_handshake_is_tried_while_the_venue_limits_us(stand: Stand) -> None:
    # The world found it: every handshake after a 429 was one more offence, and ended in a ban of two minutes.
    venue = stand.role._venues[SPOT].connections
    before = len(stand.network.connections)
    venue.budget.block_until(stand.clock.realtime_ns() // MS + 3_000)
    for session in stand.order_sessions(SPOT):
        session.lose("rotation")
    stand.pass_time(2_000)
    tried = [each for each in stand.network.connections[before:] if "ws-api/v3?" in each.url]
    assert not tried
    stand.pass_time(8_000)
    assert [each for each in stand.network.connections[before:] if "ws-api/v3?" in each.url]
