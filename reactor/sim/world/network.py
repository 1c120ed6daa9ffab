"""A network in memory between the roles and the exchange's faces: latencies, lost messages and cuts come from one seed.

    role ── Connection.send ──latency──▶ face.on_message       role ── request ──latency──▶ face.on_request
    role ◀─ Listener.on_frame ◀─latency── Socket.send           role ◀─ on_response ◀─latency──┘

Per connection and direction the order is kept, as TCP keeps it: what is late delays what comes after it. A message is lost only
with its connection, or as the exchange's own fault (a market message that a venue never sent). A cut in the middle of a frame
is a message that was not delivered and a connection that is gone: that is all a role can see of it.
"""

from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from zlib import crc32

from reactor.net.network import Failure, Listener, Request, Response, Sent
from reactor.sim.exchange import SimulatedExchange
from reactor.sim.faces.face import Face
from reactor.sim.faces.request import HttpRequest, HttpResponse
from reactor.sim.faces.streams import Frame
from reactor.sim.world.story import Story
from reactor.sim.world.time import MS, VirtualTime

AGED: Final = "disconnected"  # what a venue says to a connection that has lived for its 24 h
HANDSHAKES: Final = 2  # A connection costs two ways there and back: TCP, then the upgrade.
NOTICE_NS_MAX: Final = 20 * MS  # How long a host may not know that a connection is gone: until then it still sends.
ANSWER: Final = int(Frame.ANSWER)
MARKET: Final = int(Frame.MARKET)
IP: Final = "10.0.0.1"
TEXT_MAX: Final = 420  # of a payload in a story


@dataclass
class Weather:
    """How the network is now. Probabilities per message; the world's faults turn them."""

    latency_ns: int = 400_000  # one way
    jitter_ns: int = 300_000
    spike_rate: float = 0.0  # a message (and all behind it) is late by up to spike_ns
    spike_ns: int = 300 * MS
    drop_rate: float = 0.0  # the exchange forgets to send a market message
    duplicate_rate: float = 0.0  # sends a market or user message twice
    reorder_rate: float = 0.0  # a market message is overtaken by its successor
    cut_rate: float = 0.0  # a connection is cut instead of carrying the message
    refuse_rate: float = 0.0  # a connection or request does not come to be
    lose_rate: float = 0.0  # a request arrives, its answer does not
    stale_rate: float = 0.0  # a snapshot of a book is the one that was given out before

    def calm(self) -> None:
        """Fine weather."""
        self.spike_rate = self.drop_rate = self.duplicate_rate = self.reorder_rate = 0.0
        self.cut_rate = self.refuse_rate = self.lose_rate = self.stale_rate = 0.0


class Cloud:
    """Everything between the hosts: the faces, the weather, the connections that live."""

    def __init__(
        self,
        time: VirtualTime,
        dice: Random,
        exchange: SimulatedExchange,
        faces: Mapping[str, Face],
        story: Story,
        life_ns: int,
    ) -> None:
        self.time = time
        self.dice = dice
        self.exchange = exchange
        self.faces = faces  # by host name: "spot", "usdm"
        self.weather = Weather()
        self.story = story
        self.life_ns = life_ns
        self.lines: dict[int, Line] = {}
        self.outages: dict[str, int] = {}  # host name → until when nobody reaches it
        self.tally: Tally[str] = Tally()  # how often each fault has struck
        self.excuse: Callable[[], None] = lambda: None  # called when one struck a message of the engine
        self.must_cut: Callable[[Line], bool] | None = None  # a test's: cut this connection instead of carrying the message
        self._snapshots: dict[str, HttpResponse] = {}  # the last of each book
        self.digest = 0
        self.frames = 0
        self.requests = 0
        self._numbers = 0

    def delay_ns(self) -> int:
        """One way."""
        weather, dice = self.weather, self.dice
        delay = weather.latency_ns + int(dice.random() * weather.jitter_ns)
        if weather.spike_rate and dice.random() < weather.spike_rate:
            delay += int(dice.random() * weather.spike_ns)
            self.tally["spikes"] += 1
        return delay

    def struck(self, name: str, who: str) -> None:
        """A fault has struck something of that role."""
        self.tally[name] += 1
        if who == "engine":
            self.excuse()

    def aged(self, asked: HttpRequest, answer: HttpResponse) -> HttpResponse:
        """The answer, or an older one: a cache that lags behind gives out snapshots of the past."""
        if not self.weather.stale_rate or not asked.path.endswith("/depth") or answer.status != 200:
            return answer
        key = f"{asked.path}?{asked.query}"
        older = self._snapshots.get(key)
        if older is not None and self.dice.random() < self.weather.stale_rate:
            self.tally["stale_snapshots"] += 1
            return older
        self._snapshots[key] = answer
        return answer

    def is_out(self, host: str) -> bool:
        """Nobody reaches this host now."""
        return self.outages.get(host, 0) > self.time.now_ns

    def number(self) -> int:
        """A new connection's."""
        self._numbers += 1
        return self._numbers

    def note(self, payload: bytes) -> None:
        """Into the digest of the run."""
        self.digest = crc32(payload, self.digest)
        self.frames += 1

    def settle(self) -> None:
        """Lets the faces say what has happened."""
        now_ns = self.time.exchange_ns()
        for face in self.faces.values():
            face.on_time(now_ns)

    def cut(self, host: str = "", kind: str = "") -> int:
        """Cuts every connection to a host (of a kind, told by a part of its address). Returns how many."""
        found = [line for line in self.lines.values() if host in line.host and kind in line.url]
        for line in found:
            line.cut("cut by the network")
        return len(found)


class Line:
    """One WebSocket. It is the role's `Connection`; `socket` is the face's end."""

    def __init__(self, cloud: Cloud, net: "WorldNetwork", url: str, listener: Listener) -> None:
        parts = urlsplit(url)
        self.cloud = cloud
        self.net = net
        self.url = url
        self.host = parts.hostname or ""
        self.number = cloud.number()
        self.socket = FaceEnd(self)
        self._path = parts.path
        self._query = parts.query
        self._listener = listener
        self._face = cloud.faces[self.host]
        self._is_open = False  # The role may send.
        self._is_served = False  # The face knows it.
        self._has_ended = False  # The listener has heard, or will hear, on_close.
        self._is_cut = False  # Nothing arrives any more, in either direction.
        self._is_closing = False  # by the venue: it says nothing more
        self._up_ns = 0  # when the last message of a direction arrives
        self._down_ns = 0
        self._held: bytes | None = None  # a market message that its successor overtakes

    # -- the handshake

    def start(self) -> None:
        """The role has asked for it."""
        cloud = self.cloud
        weather = cloud.weather
        if cloud.is_out(self.host) or (weather.refuse_rate and cloud.dice.random() < weather.refuse_rate):
            cloud.tally["refused"] += 1
            cloud.time.after(cloud.delay_ns() * 3, self._end, "cannot connect: no answer")
            return
        cloud.time.after(cloud.delay_ns() * HANDSHAKES, self._arrive)

    def _arrive(self) -> None:
        cloud = self.cloud
        if not self.net.is_alive:
            return
        now_ns = cloud.time.exchange_ns()
        cloud.exchange.advance(now_ns)
        cloud.lines[self.number] = self
        self._is_served = True
        status = self._face.on_open(self.socket, self._path, dict(parse_qsl(self._query)), IP, now_ns)
        if status != 101:
            self._is_served = False
            cloud.lines.pop(self.number, None)
            cloud.time.after(cloud.delay_ns(), self._end, f"cannot connect: HTTP {status}")
            return
        self._down_ns = cloud.time.now_ns + cloud.delay_ns()
        cloud.time.at(self._down_ns, self._opened)
        cloud.time.after(cloud.life_ns, self.close_by_venue, 1008, AGED)
        cloud.settle()

    def _opened(self) -> None:
        if self.net.is_alive and not self._is_cut and not self._has_ended:
            self._is_open = True
            self._listener.on_open(self, self.cloud.time.now_ns)
            self.net.on_activity()

    # -- the role's end (reactor/net/network.py)

    def send(self, payload: bytes) -> Sent:
        """One text frame to the face."""
        if not self._is_open:
            return Sent.NOT_SENT
        cloud = self.cloud
        cloud.note(payload)
        if cloud.story.is_told:
            cloud.story.tell(self.net.name, f"▶ {self.host}#{self.number} {_short(payload)}")
        self._up_ns = max(self._up_ns, cloud.time.now_ns + cloud.delay_ns())
        cloud.time.at(self._up_ns, self._at_face, bytes(payload))
        return Sent.HANDED_OVER

    def ping(self, payload: bytes = b"") -> None:
        """The face's shell answers."""
        if self._is_open:
            cloud = self.cloud
            self._up_ns = max(self._up_ns, cloud.time.now_ns + cloud.delay_ns())
            cloud.time.at(self._up_ns, self._ping_at_face, bytes(payload))

    def close(self, reason: str = "") -> None:
        """Starts closing."""
        if self._has_ended:
            return
        self._is_open = False
        cloud = self.cloud
        self._up_ns = max(self._up_ns, cloud.time.now_ns + cloud.delay_ns())
        cloud.time.at(self._up_ns, self._unserve)
        cloud.time.at(self._up_ns + cloud.delay_ns(), self._end, reason or "closed by us")

    def _at_face(self, payload: bytes) -> None:
        if self._is_cut or not self._is_served:
            return
        cloud = self.cloud
        if cloud.is_out(self.host) or (cloud.weather.cut_rate and cloud.dice.random() < cloud.weather.cut_rate):
            cloud.struck("cuts", self.net.name)
            self.cut("cut on the way up")
            return
        if cloud.must_cut is not None and cloud.must_cut(self):
            self.cut("cut on the way up")
            return
        now_ns = cloud.time.exchange_ns()
        cloud.exchange.advance(now_ns)
        self._face.on_message(self.socket, payload, now_ns)
        cloud.settle()

    def _ping_at_face(self, payload: bytes) -> None:
        if self._is_cut or not self._is_served or self.cloud.is_out(self.host):
            return
        self._face.on_ping(self.socket, self.cloud.time.exchange_ns())
        if self._is_served:
            self._down_ns = max(self._down_ns, self.cloud.time.now_ns + self.cloud.delay_ns())
            self.cloud.time.at(self._down_ns, self._pong, payload)

    def _pong(self, payload: bytes) -> None:
        if self._is_open and not self._is_cut and self.net.is_alive:
            self._listener.on_pong(self, payload, self.cloud.time.now_ns)
            self.net.on_activity()

    # -- the face's end

    def down(self, payload: bytes, kind: int, delay_ns: int) -> None:
        """One frame of the face."""
        if self._is_cut or self._is_closing or not self._is_served:
            return
        cloud = self.cloud
        weather, dice = cloud.weather, cloud.dice
        if cloud.must_cut is not None and cloud.must_cut(self):
            self.cut("cut on the way down")
            return
        copies = 1
        if kind != ANSWER or weather.cut_rate:
            if weather.cut_rate and dice.random() < weather.cut_rate:
                cloud.struck("cuts", self.net.name)
                self.cut("cut on the way down")
                return
            if kind == MARKET:
                if weather.drop_rate and dice.random() < weather.drop_rate:
                    cloud.tally["drops"] += 1
                    return
                if weather.reorder_rate and self._held is None and dice.random() < weather.reorder_rate:
                    self._held = payload
                    cloud.tally["reorders"] += 1
                    return
            if kind != ANSWER and weather.duplicate_rate and dice.random() < weather.duplicate_rate:
                copies = 2
                cloud.tally["duplicates"] += 1
        self._down_ns = max(self._down_ns, cloud.time.now_ns + cloud.delay_ns() + delay_ns)
        for _ in range(copies):
            cloud.time.at(self._down_ns, self._frame, payload, kind)
        if self._held is not None and kind == MARKET:
            cloud.time.at(self._down_ns, self._frame, self._held, kind)
            self._held = None

    def _frame(self, payload: bytes, kind: int) -> None:
        if self._is_cut or self._has_ended or not self._is_open or not self.net.is_alive:
            return
        cloud = self.cloud
        if cloud.is_out(self.host):
            self.cut("nothing arrives any more")
            return
        cloud.note(payload)
        if kind != MARKET and cloud.story.is_told:
            cloud.story.tell(self.net.name, f"◀ {self.host}#{self.number} {_short(payload)}")
        self._listener.on_frame(self, memoryview(payload), cloud.time.now_ns)
        self.net.on_activity()

    # -- the end

    def cut(self, reason: str) -> None:
        """The network drops it: the face hears at once, the role a little later and meanwhile sends into nothing."""
        if self._is_cut or self._has_ended:
            return
        self._is_cut = True
        cloud = self.cloud
        cloud.time.after(int(cloud.dice.random() * NOTICE_NS_MAX), self._end, reason)
        cloud.time.after(0, self._unserve)  # Not from inside of the face's own sending.

    def close_by_venue(self, code: int, reason: str) -> None:
        """The exchange closes it in order: what it has sent before still arrives."""
        if not self._is_served or self._is_cut or self._is_closing:
            return
        self._is_closing = True
        cloud = self.cloud
        if reason == AGED:
            cloud.tally["rotation"] += 1
        cloud.time.after(0, self._unserve)
        self._down_ns = max(self._down_ns, cloud.time.now_ns + cloud.delay_ns())
        cloud.time.at(self._down_ns, self._end, f"closed by the venue: {code} {reason}")

    def _unserve(self) -> None:
        self.cloud.lines.pop(self.number, None)
        if self._is_served:
            self._is_served = False
            self._face.on_close(self.socket, self.cloud.time.exchange_ns())

    def _end(self, reason: str) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._is_open = False
        if self.net.is_alive:
            self.cloud.story.tell(self.net.name, f"connection {self.number} to {self.host}{self._path[:24]} ended: {reason}")
            self._listener.on_close(self, reason, self.cloud.time.now_ns)
            self.net.on_activity()


class FaceEnd:
    """What a face holds of a connection (reactor/sim/faces/streams.py: Socket)."""

    __slots__ = ("_line",)

    def __init__(self, line: Line) -> None:
        self._line = line

    def send(self, payload: bytes, kind: Frame = Frame.ANSWER, delay_ns: int = 0) -> None:
        """One text frame."""
        self._line.down(payload, kind, delay_ns)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Starts closing."""
        self._line.close_by_venue(code, reason)


class WorldNetwork:
    """One role's `Network`. When the role dies, so does everything that it had open."""

    def __init__(self, cloud: Cloud, name: str, on_activity: Callable[[], None]) -> None:
        self.cloud = cloud
        self.name = name
        self.on_activity = on_activity
        self.is_alive = True

    def connect(self, url: str, listener: Listener, headers: Mapping[str, str] | None = None) -> None:
        """Starts a WebSocket."""
        Line(self.cloud, self, url, listener).start()

    def request(self, request: Request, on_response: Callable[[Response], None]) -> None:
        """Starts a REST request."""
        Exchange(self, request, on_response).start()

    def die(self) -> None:
        """The process is gone: the kernel closes its sockets, nobody is called back."""
        self.is_alive = False
        for line in [line for line in self.cloud.lines.values() if line.net is self]:
            line.cut("the process is gone")


class Exchange:
    """One REST request on its way there and back."""

    def __init__(self, net: WorldNetwork, request: Request, on_response: Callable[[Response], None]) -> None:
        self._net = net
        self._request = request
        self._on_response = on_response
        self._is_over = False

    def start(self) -> None:
        """The role has asked."""
        cloud, request = self._net.cloud, self._request
        parts = urlsplit(request.url)
        host = parts.hostname or ""
        cloud.requests += 1
        note = f"{request.method} {parts.path}?{parts.query}"
        cloud.note(note.encode() + request.body)
        if cloud.story.is_told:
            cloud.story.tell(self._net.name, f"▶ {host} {note[:220]}")
        weather = cloud.weather
        if cloud.is_out(host) or (weather.refuse_rate and cloud.dice.random() < weather.refuse_rate):
            cloud.struck("refused", self._net.name)
            cloud.time.after(cloud.delay_ns() * 3, self._fail, Failure.NOT_SENT, "cannot connect")
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = HttpRequest(request.method, parts.path, parts.query, headers, request.body, IP)
        cloud.time.after(cloud.delay_ns(), self._at_face, host, asked)
        cloud.time.after(request.timeout_ns, self._fail, Failure.OUTCOME_UNKNOWN, "timeout")

    def _at_face(self, host: str, asked: HttpRequest) -> None:
        cloud = self._net.cloud  # A request that left arrives, whatever became of who sent it.
        now_ns = cloud.time.exchange_ns()
        if cloud.is_out(host):
            return
        cloud.exchange.advance(now_ns)
        answer = cloud.aged(asked, cloud.faces[host].on_request(asked, now_ns))
        cloud.settle()
        delay_ns = cloud.delay_ns() + answer.delay_ns
        weather = cloud.weather
        if answer.is_cut or (weather.lose_rate and cloud.dice.random() < weather.lose_rate):
            cloud.struck("lost_answers", self._net.name)
            cloud.time.after(delay_ns, self._fail, Failure.OUTCOME_UNKNOWN, "connection lost")
            return
        cloud.time.after(delay_ns, self._answered, host, answer.status, answer.headers, answer.body)

    def _answered(self, host: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        cloud = self._net.cloud
        if self._is_over or not self._net.is_alive:
            return
        if cloud.is_out(host):
            return
        cloud.note(body)
        if cloud.story.is_told:
            cloud.story.tell(self._net.name, f"◀ {host} {urlsplit(self._request.url).path} {status} {_short(body)}")
        lower = {name.lower(): value for name, value in headers.items()}
        self._finish(Response(status, lower, body, cloud.time.now_ns))

    def _fail(self, failure: Failure, text: str) -> None:
        if self._is_over or not self._net.is_alive:
            return
        self._net.cloud.story.tell(self._net.name, f"no answer to {urlsplit(self._request.url).path}: {text}")
        self._finish(Response(0, {}, b"", self._net.cloud.time.now_ns, failure, text))

    def _finish(self, response: Response) -> None:
        self._is_over = True
        self._on_response(response)
        self._net.on_activity()


def _short(payload: bytes) -> str:
    text = bytes(payload).decode(errors="replace")
    return text if len(text) <= TEXT_MAX else text[:TEXT_MAX] + f"… ({len(text)})"
