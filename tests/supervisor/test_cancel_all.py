"""Ours are cancelled and confirmed; foreign orders are never touched."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from reactor.domain.ids import ClientIds
from reactor.domain.instrument import Instruments
from reactor.exchanges.binance.orders import BinanceOrders, order_codec
from reactor.exchanges.binance.rules import LINES, ProductLine, endpoints_at
from reactor.exchanges.venue import Credentials, RestCall
from reactor.supervisor import cancel_all
from reactor.supervisor.cancel_all import cancel_ours, confirm

IDS = ClientIds("ct")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel_all, "PAUSE_S", 0.0)


@dataclass
class FakeDesk:
    """A venue with some open orders, by number: ours or not. `stubborn` cancels fail before one succeeds."""

    venue: int
    orders: dict[int, bool]
    stubborn: int = 0
    is_unreachable: bool = False
    limited: list[int] = field(default_factory=list)  # seconds to wait that the next answers name
    asked: int = 0
    cancelled: list[int] = field(default_factory=list)
    clock_offset_ms: int = 0
    trouble: str = ""

    def __post_init__(self) -> None:
        self.name = f"venue-{self.venue}"
        self.line: ProductLine = LINES[self.venue]
        self.ids = IDS
        endpoints = endpoints_at(self.venue, "http://127.0.0.1:1")
        self.codec: BinanceOrders = order_codec(self.venue, endpoints, Credentials("key", "secret"), Instruments(()))

    def _id(self, number: int) -> str:
        return IDS.client_order_id(number) if self.orders[number] else f"somebody-{number}"

    async def make(self, call: RestCall) -> tuple[int, Mapping[str, str], bytes]:
        if self.is_unreachable:
            self.trouble = "no answer"
            return 0, {}, b""
        self.asked += 1
        if self.limited:
            return 429, {"retry-after": str(self.limited.pop(0))}, b'{"code":-1003,"msg":"Too many requests."}'
        url = urlsplit(call.url)
        if call.method == "GET":
            assert url.path.endswith("/openOrders")
            rows = [{"symbol": "BTCUSDT", "clientOrderId": self._id(number), "orderId": number} for number in self.orders]
            return 200, {}, json.dumps(rows).encode()
        assert (call.method, url.path.rpartition("/")[2]) == ("DELETE", "order")
        number = int(parse_qs(url.query)["orderId"][0])
        assert self.orders[number], "a foreign order is never touched"
        self.cancelled.append(number)
        if self.stubborn:
            self.stubborn -= 1
            return 500, {}, b'{"code":-1007,"msg":"Timeout"}'
        del self.orders[number]
        return 200, {}, b'{"status":"CANCELED"}'


def test_ours_go_and_foreign_orders_stay():
    desk = FakeDesk(0, {1: True, 2: False, 3: True})
    answer = asyncio.run(cancel_ours([desk]))
    assert answer.is_clean
    assert answer.cancelled == 2
    assert desk.orders == {2: False}
    assert [order.client_order_id for order in answer.foreign] == ["somebody-2"]


def test_an_order_that_survives_a_cancel_is_cancelled_again():
    desk = FakeDesk(1, {1: True}, stubborn=2)
    answer = asyncio.run(cancel_ours([desk]))
    assert answer.is_clean
    assert desk.cancelled == [1, 1, 1]


def test_an_order_that_survives_every_cancel_is_told():
    desk = FakeDesk(0, {1: True}, stubborn=99)
    answer = asyncio.run(cancel_ours([desk], rounds_max=3))
    assert desk.cancelled == [1, 1, 1]
    assert [(order.venue, order.venue_order_id) for order in answer.ours] == [(0, 1)]
    assert answer.problems == [], "it was asked, and it answered"


def test_a_venue_that_cannot_be_asked_is_never_clean_and_does_not_stop_the_others():
    dead, alive = FakeDesk(0, {1: True}, is_unreachable=True), FakeDesk(1, {2: True})
    answer = asyncio.run(cancel_ours([dead, alive], rounds_max=2))
    assert not answer.is_clean
    assert answer.problems == ["no answer"]
    assert alive.orders == {}


def test_confirming_cancels_nothing():
    desk = FakeDesk(0, {1: True})
    answer = asyncio.run(confirm([desk]))
    assert not answer.is_clean
    assert [order.symbol for order in answer.ours] == ["BTCUSDT"]
    assert desk.cancelled == []


def test_a_venue_that_has_had_enough_for_long_is_asked_once_and_told_about():
    desk = FakeDesk(1, {1: True}, limited=[40] * 9)
    answer = asyncio.run(cancel_ours([desk]))
    assert desk.asked == 1, "who goes on asking is banned, and then nobody can cancel"
    assert not answer.is_clean
    [problem] = answer.problems
    assert "Too many requests" in problem
    assert "not asked again for" in problem


def test_a_venue_that_has_had_enough_for_a_moment_is_waited_for():
    desk = FakeDesk(1, {1: True}, limited=[0])
    assert asyncio.run(cancel_ours([desk])).is_clean
    assert desk.orders == {}
