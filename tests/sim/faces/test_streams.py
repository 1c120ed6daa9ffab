"""Subscription management: verbs, answers, errors, wrapping, and too many frames."""

from typing import Any

import orjson
import pytest

from reactor.sim.faces.streams import STREAMS_MAX

Client = Any


def ask(client: Client, socket: Any, message: Any) -> Any:
    client.now_ns += 1_000_000_000  # Five frames a second are allowed; these tests send as many as they like.
    client.say(socket, message)
    (answer,) = socket.take()
    return answer


def test_the_five_verbs_answer_as_documented(spot: Client) -> None:
    socket = spot.open("/ws")
    names = ["btcusdt@aggTrade", "btcusdt@depth"]
    assert ask(spot, socket, {"method": "SUBSCRIBE", "params": names, "id": 1}) == {"result": None, "id": 1}
    assert ask(spot, socket, {"method": "LIST_SUBSCRIPTIONS", "id": 3}) == {"result": names, "id": 3}
    assert ask(spot, socket, {"method": "UNSUBSCRIBE", "params": names[1:], "id": 312}) == {"result": None, "id": 312}
    assert ask(spot, socket, {"method": "LIST_SUBSCRIPTIONS", "id": "x"}) == {"result": names[:1], "id": "x"}
    assert ask(spot, socket, {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}) == {"result": False, "id": 2}
    assert ask(spot, socket, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}) == {"result": None, "id": 5}
    assert ask(spot, socket, {"method": "GET_PROPERTY", "params": ["combined"], "id": 2}) == {"result": True, "id": 2}


def test_wrapping_can_be_switched_while_the_stream_runs(spot: Client) -> None:
    socket = spot.open("/ws/btcusdt@trade")
    ask(spot, socket, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 1})
    spot.trade("BTCUSDT", 6_000_100, 5)
    spot.flush()
    assert socket.take()[0]["stream"] == "btcusdt@trade"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "SHOUT", "params": [], "id": 1}, 2),
        ({"params": [], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": [7], "id": 1}, 2),
        ({"method": "SUBSCRIBE", "params": ["a@trade"], "id": 1.5}, 2),
        ({"method": "GET_PROPERTY", "params": ["colour"], "id": 1}, 0),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"], "id": 1}, 1),
        ({"method": "SET_PROPERTY", "params": ["combined"], "id": 1}, 1),
        ([], 2),
        ({"method": "SUBSCRIBE", "params": [f"s{number}@trade" for number in range(STREAMS_MAX + 1)], "id": 1}, 2),
    ],
    ids=[
        "unknown verb", "no verb", "no list", "empty list", "no string", "bad id", "unknown property", "no boolean", "no value",
        "no object", "too many streams",
    ],
)  # fmt: skip
def test_a_bad_request_has_its_code(spot: Client, message: Any, code: int) -> None:
    assert ask(spot, spot.open("/ws"), message)["code"] == code


def test_garbage_is_answered_and_the_connection_lives(spot: Client) -> None:
    socket = spot.open("/ws")
    for garbage in (b"{", b"", b"\xff\xfe", b"null true"):
        spot.now_ns += 1_000_000_000
        spot.face.on_message(socket, garbage, spot.now_ns)
    answers = socket.take()
    assert [answer["code"] for answer in answers] == [3, 3, 3, 3]
    assert answers[0]["msg"].startswith("Invalid JSON: expected value at line 1 column ")
    assert socket.closed is None


def test_too_many_frames_in_a_second_close_the_connection(spot: Client, usdm: Client) -> None:
    for client, allowed in ((spot, 5), (usdm, 10)):
        socket = client.open("/ws")
        for number in range(allowed):
            client.say(socket, {"method": "LIST_SUBSCRIPTIONS", "id": number})
        assert socket.closed is None
        client.face.on_ping(socket, client.now_ns)
        assert socket.closed == (1008, "Too many requests")


def test_paths_that_clients_use_are_served(spot: Client, usdm: Client) -> None:
    for path in ("/ws", "/ws/", "/ws/0", "/ws/btcusdt@trade/ethusdt@trade", "/stream", "/stream/ws/0", "/ws-api/v3"):
        spot.open(path)
    for path in ("/public/ws/0", "/market/ws/1", "/private/ws", "/public/stream", "/ws/7", "/stream", "/ws-fapi/v1"):
        usdm.open(path)
    for client in (spot, usdm):
        assert client.face.on_open(object(), "/nowhere", {}, "127.0.0.1", client.now_ns) == 404


def test_a_closed_connection_hears_nothing(spot: Client) -> None:
    socket = spot.open("/ws/btcusdt@trade")
    spot.face.on_close(socket, spot.now_ns)
    spot.trade("BTCUSDT", 6_000_100, 5)
    spot.flush()
    assert socket.take() == []


def test_a_message_is_encoded_once_for_all_listeners(spot: Client) -> None:
    sockets = [spot.open("/ws/btcusdt@trade") for _ in range(3)]
    spot.trade("BTCUSDT", 6_000_100, 5)
    spot.flush()
    first, second, third = (socket.frames[0] for socket in sockets)
    assert first is second is third
    assert orjson.loads(first)["e"] == "trade"
