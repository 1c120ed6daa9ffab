"""CPU of the engine per order without sockets: command → signed frame, answer → report, event → report.

    python bench/micro/engine/bench_role.py [orders at once, default 16]

The stand of the tests plays prepost and the venue; only the engine's own calls count (CPU of the thread, median, least).
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "engine"))

from engine_stand import SPOT, Stand, ack

from reactor.net.network import Sent
from shm.ring import NORMAL

FILL: dict[str, Any] = {"e": "executionReport", "E": 1499405658658, "s": "BTCUSDT", "S": "BUY", "o": "LIMIT", "f": "GTC"}
FILL |= {"q": "0.00123", "p": "61234.56", "P": "0.00000000", "F": "0.00000000", "g": -1, "C": "", "x": "TRADE", "X": "FILLED"}
FILL |= {"r": "NONE", "l": "0.00123000", "z": "0.00123000", "L": "61234.50000000", "n": "0.00000100", "N": "BTC"}
FILL |= {"T": 1499405658657, "I": 8641984, "w": True, "m": False, "M": False, "O": 1499405658657, "Z": "0.0", "Y": "0.0"}


class Mouth:
    """A connection that only remembers."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, payload: bytes) -> Sent:
        self.sent.append(payload)
        return Sent.HANDED_OVER

    def ping(self, payload: bytes = b"") -> None: ...

    def close(self, reason: str = "") -> None: ...


class Bench:
    """See the module."""

    def __init__(self) -> None:
        self.stand = Stand(report_slots=8192)
        self.stand.bring_up()
        connections = self.stand.role._venues[SPOT].connections
        self.stream = connections.user_streams[0]
        self.sessions = [(session, Mouth()) for session in connections.usable]
        for session, mouth in self.sessions:
            session.connection = mouth
            session._source = None

    def measure(self, count: int) -> tuple[float, float, float]:
        """ns per place, answer and fill."""
        stand, role = self.stand, self.stand.role
        for _ in range(count):
            stand.place(SPOT)
        now_ns = stand.clock.monotonic_ns()
        begun_ns = time.thread_time_ns()
        role._drain(NORMAL, count, now_ns)
        placed_ns = time.thread_time_ns()
        requests = [(session, orjson.loads(frame)) for session, mouth in self.sessions for frame in mouth.sent]
        for _, mouth in self.sessions:
            mouth.sent.clear()
        answers = [(each, memoryview(orjson.dumps(ack(request, request["id"])))) for each, request in requests]
        ids = [(request["params"]["newClientOrderId"], request["id"]) for _, request in requests]
        events = [memoryview(orjson.dumps({"event": FILL | {"c": name, "i": number, "t": number}})) for name, number in ids]
        answer_ns = time.thread_time_ns()
        for session, answer in answers:
            session.on_frame(session.connection, answer, now_ns)
        answered_ns = time.thread_time_ns()
        for event in events:
            self.stream.on_frame(self.sessions[0][1], event, now_ns)
        filled_ns = time.thread_time_ns()
        assert len(stand.reports_now()) == 2 * count
        return (placed_ns - begun_ns) / count, (answered_ns - answer_ns) / count, (filled_ns - answered_ns) / count


if __name__ == "__main__":
    at_once = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    bench = Bench()
    rounds = [bench.measure(at_once) for _ in range(8000 // at_once)][2000 // at_once :]
    for name, costs in zip(("place", "answer", "event"), zip(*rounds, strict=True), strict=True):
        print(f"{name:8} {statistics.median(costs) / 1e3:5.1f} µs, least {min(costs) / 1e3:5.1f}")
