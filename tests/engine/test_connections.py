"""The private connections of a venue: lost, replaced, rotated, limited."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from engine_stand import MS, SPOT, USDM, Stand, refusal

from reactor.engine.counters import Counter
from reactor.exchanges.venue import Credentials


def test_a_lost_user_stream_is_told_and_comes_back(stand: Stand) -> None:
    stand.user_stream(USDM).lose()
    assert stand.kinds() == ["SESSION_DOWN"]
    for _ in range(60):
        stand.pass_time(5)
        stand.open_all()
    assert stand.kinds() == ["SESSION_UP"]


def test_a_lost_order_session_is_replaced_and_others_work_meanwhile(stand: Stand) -> None:
    stand.order_sessions(SPOT)[0].lose()
    assert stand.kinds() == []
    for _ in range(60):
        stand.pass_time(5)
        stand.open_all()
    assert len(stand.order_sessions(SPOT)) == 3


def test_an_expired_listen_key_gets_a_new_stream(stand: Stand) -> None:
    stand.network.automatic["POST", "/fapi/v1/listenKey"] = {"listenKey": "NEXT"}
    stand.user_stream(USDM).say({"e": "listenKeyExpired", "E": 1, "listenKey": "KEY"})
    assert stand.kinds() == ["SESSION_DOWN"]
    for _ in range(60):
        stand.pass_time(5)
        stand.open_all()
    assert stand.user_stream(USDM).url.endswith("/private/ws/NEXT")


def test_a_session_without_pong_is_replaced(stand: Stand) -> None:
    silent = stand.order_sessions(SPOT)[0]
    for _ in range(1_200):
        stand.pass_time(5)
        for connection in stand.network.live():
            if connection is not silent and connection.pings:
                connection.pings = 0
                connection.pong()
    assert silent.is_dead
    assert stand.order_sessions(SPOT)


def test_planned_rotation_opens_the_successor_first_and_prepost_hears_nothing(stand: Stand) -> None:
    before = set(map(id, stand.network.live()))
    for connection in stand.network.live():
        connection.pong()
    stand.clock.advance(23 * 3600 * 1000 * MS)
    for _ in range(1_500):
        stand.pass_time(5)
        stand.open_all()
        for connection in stand.network.live():
            if connection.pings:
                connection.pings = 0
                connection.pong()
    assert not before & set(map(id, stand.network.live()))
    assert stand.counted(Counter.ROTATIONS) == 8
    assert stand.kinds() == []


def test_a_shutdown_notice_moves_the_user_stream_before_it_is_cut(stand: Stand) -> None:
    old = stand.user_stream(SPOT)
    old.say({"event": {"e": "serverShutdown", "E": 1}})
    for _ in range(600):
        stand.pass_time(5)
        stand.open_all()
        for connection in stand.network.live():
            connection.pong()
    assert old.is_dead
    assert stand.kinds() == []


def test_a_session_that_has_lost_its_logon_is_replaced() -> None:
    pem = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    stand = Stand(credentials=Credentials("k" * 64, pem.decode()))
    stand.bring_up()
    stand.place(SPOT)
    stand.work()
    [(connection, request)] = stand.sent(SPOT)
    assert "signature" not in request["params"]
    connection.say(refusal(request, -1193, "WebSocket session not authenticated", 401))
    assert stand.kinds() == ["REJECT"]
    assert connection.is_dead
    for _ in range(60):
        stand.pass_time(5)
        stand.open_all()
    assert len(stand.order_sessions(SPOT)) == 3


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


def test_a_clock_that_slow_answers_left_uncertain_is_measured_again_within_a_second(stand: Stand) -> None:
    # An engine that was started on a busy host had three answers of more than a second each: it asked the venue nothing for the
    # 20 s until the next sample, and nothing opened for a minute.
    venue, clock = stand.role._venues[USDM].connections, stand.clock
    slow_ms = 2_400

    def server_time(asked: object) -> dict[str, int]:
        clock.advance(slow_ms * MS // 2)
        now_ms = clock.realtime_ns() // MS
        clock.advance(slow_ms * MS // 2)
        return {"serverTime": now_ms}

    stand.network.automatic["GET", "/fapi/v1/time"] = server_time
    venue.distrust_clock(clock.monotonic_ns())
    stand.pass_time(1_000)
    assert not venue.may_place
    slow_ms = 10
    stand.pass_time(1_100)
    assert venue.may_place
    samples = stand.counted(Counter.CLOCK_SAMPLES)
    stand.pass_time(5_000)
    assert stand.counted(Counter.CLOCK_SAMPLES) - samples <= 4, "two venues; a certain clock is measured at its leisure"
