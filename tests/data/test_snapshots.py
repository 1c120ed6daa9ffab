"""The recorder asks for books within its own weight, and only while the address has enough for those who trade beside it."""

from types import SimpleNamespace
from typing import Any

from reactor.data.recorder import Snapshots
from reactor.data.venues import recorded_venue
from reactor.loop.clock import ManualClock
from reactor.loop.log import NullLog
from reactor.net.network import Response

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


class FakeNetwork:
    """Keeps what is asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def request(self, request: Any, on_response: Any) -> None:
        self.asked.append(on_response)


def recording(symbol: str) -> Any:
    sync = SimpleNamespace(needs_snapshot=True, kept=[1], on_request=lambda: None, on_snapshot_failed=lambda: None)
    return SimpleNamespace(symbol=symbol, sync=sync, held_since_ns=0)


def test_books_wait_for_the_next_minute_where_others_on_the_address_have_used_its_weight() -> None:
    clock, network = ManualClock(), FakeNetwork()
    venue = recorded_venue("binance_usdm")
    reader: Any = SimpleNamespace(read_snapshot=lambda body, symbol: 0)
    snapshots = Snapshots(venue, venue.endpoints("http://localhost:1", ""), reader, network, clock, NullLog())  # type: ignore[arg-type]
    recordings = {name: recording(name) for name in ("BTCUSDT", "ETHUSDT")}

    def work() -> None:
        snapshots.work(recordings, clock.monotonic_ns(), clock.realtime_ns())

    clock.advance(MINUTE - clock.realtime_ns() % MINUTE + SECOND)
    recordings["ETHUSDT"].sync.needs_snapshot = False
    work()
    assert len(network.asked) == 1
    recordings["ETHUSDT"].sync.needs_snapshot = True
    headers = {"x-mbx-used-weight-1m": "1430"}  # of 2400; a book of a thousand levels costs 20
    network.asked[0](Response(500, headers, b"", clock.monotonic_ns()))
    clock.advance(50 * SECOND)
    work()
    assert len(network.asked) == 1
    clock.advance(10 * SECOND)
    work()
    assert len(network.asked) == 3
