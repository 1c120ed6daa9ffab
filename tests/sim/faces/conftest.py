"""One exchange per test: both venues with a small market, a clock that the test moves, and sockets that remember."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from reactor.sim.faces.face import FaceParameters
from reactor.sim.faces.keys import ApiKey, KeyKind
from reactor.sim.faces.request import HttpRequest, HttpResponse
from reactor.sim.faces.signatures import DEFAULT_PRIVATE_PEM
from reactor.sim.faces.spot import SpotFace
from reactor.sim.faces.streams import Frame
from reactor.sim.faces.usdm import UsdmFace
from reactor.sim.spot import SpotVenue
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS
from reactor.sim.updates import BookUpdate, TradeUpdate
from reactor.sim.usdm import UsdmVenue
from reactor.sim.venue import USDM_PARAMETERS, AccountParameters, VenueParameters

START_NS = 1_700_000_000_000_000_000  # a whole second
KEY, SECRET = "test-key", "test-secret"


def sign(secret: str, payload: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


class FakeSocket:
    """What a client would have received."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: tuple[int, str] | None = None

    def send(self, payload: bytes, kind: Frame = Frame.ANSWER, delay_ns: int = 0) -> None:
        self.frames.append(payload)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed = (code, reason)

    def take(self) -> list[Any]:
        """Everything since the last call, decoded."""
        frames, self.frames = self.frames, []
        return [orjson.loads(frame) for frame in frames]


@dataclass
class Client:
    """Somebody who talks to one face and moves the clock."""

    face: Any
    core: Any
    prefix: str
    key: str = KEY
    secret: str = SECRET
    now_ns: int = START_NS
    headers: dict[str, str] = field(default_factory=dict)

    def raw(
        self, verb: str, path: str, query: str = "", body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        names = {"x-mbx-apikey": self.key, **self.headers} if headers is None else dict(headers)
        answer: HttpResponse = self.face.on_request(HttpRequest(verb, self.prefix + path, query, names, body), self.now_ns)
        return answer

    def ask(self, verb: str, path: str, **params: Any) -> Any:
        """An unsigned question; the decoded answer."""
        return orjson.loads(self.raw(verb, path, urlencode(params)).body)

    def signed_query(self, **params: Any) -> str:
        query = urlencode({**params, "timestamp": params.get("timestamp", self.now_ns // 1_000_000)})
        return f"{query}&signature={sign(self.secret, query)}"

    def signed(self, verb: str, path: str, **params: Any) -> Any:
        """A signed question; the decoded answer."""
        return orjson.loads(self.raw(verb, path, self.signed_query(**params)).body)

    def wait(self, ms: float) -> None:
        """Lets time pass, in steps of at most 10 ms."""
        end_ns = self.now_ns + int(ms * 1_000_000)
        while self.now_ns < end_ns:
            self.now_ns = min(self.now_ns + 10_000_000, end_ns)
            self.core.advance(self.now_ns)
            self.face.on_time(self.now_ns)

    def flush(self) -> None:
        self.face.on_time(self.now_ns)

    def open(self, path: str, **query: str) -> FakeSocket:
        socket = FakeSocket()
        assert self.face.on_open(socket, path, query, "127.0.0.1", self.now_ns) == 101
        return socket

    def say(self, socket: FakeSocket, message: Any) -> None:
        self.face.on_message(socket, orjson.dumps(message), self.now_ns)

    def call(self, socket: FakeSocket, method: str, params: dict[str, Any] | None = None, signed: bool = False) -> Any:
        """One WebSocket API request; its answer (user events before it are dropped)."""
        params = dict(params or {})
        if signed:
            params |= {"apiKey": self.key, "timestamp": self.now_ns // 1_000_000}
            payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
            params["signature"] = sign(self.secret, payload)
        self.say(socket, {"id": "request", "method": method, "params": params})
        answers = [frame for frame in socket.take() if frame.get("id") == "request"]
        assert len(answers) == 1
        return answers[0]

    def book(self, symbol: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        """The market says a book."""
        self.core.on_market(BookUpdate(self.core.product, symbol, bids, asks, self.now_ns, self.now_ns), self.now_ns)

    def trade(self, symbol: str, ticks: int, lots: int, buyer_is_maker: bool = False) -> None:
        """Two strangers trade."""
        self.core.on_market(
            TradeUpdate(self.core.product, symbol, ticks, lots, buyer_is_maker, self.now_ns, self.now_ns), self.now_ns
        )


ACCOUNTS = (AccountParameters(), AccountParameters(name="second", api_key="test-key-2", hmac_secret="test-secret-2"))


def _keys(core: Any) -> tuple[ApiKey, ...]:
    from reactor.sim.faces.keys import DEFAULT_KEYS

    numbers = [core.add_account(account, START_NS) for account in ACCOUNTS]
    keys = [ApiKey(account.api_key, account.hmac_secret, number) for account, number in zip(ACCOUNTS, numbers, strict=True)]
    ed25519 = next(key for key in DEFAULT_KEYS if key.kind is KeyKind.ED25519)
    return (*keys, ApiKey(ed25519.api_key, ed25519.secret, numbers[0], KeyKind.ED25519))


@pytest.fixture
def make_spot() -> Callable[..., Client]:
    def make(**parameters: Any) -> Client:
        core = SpotVenue([SPOT_SYMBOLS["BTCUSDT"], SPOT_SYMBOLS["ETHUSDT"]], VenueParameters(), START_NS)
        keys = _keys(core)
        client = Client(SpotFace(core, FaceParameters(keys=keys, **parameters)), core, "/api/v3/")
        client.book("BTCUSDT", [(6_000_000, 100_000), (5_999_900, 200_000)], [(6_000_100, 100_000), (6_000_200, 300_000)])
        client.book("ETHUSDT", [(250_000, 100_000)], [(250_001, 100_000)])
        client.trade("BTCUSDT", 6_000_100, 1_000)
        client.flush()
        return client

    return make


@pytest.fixture
def make_usdm() -> Callable[..., Client]:
    def make(**parameters: Any) -> Client:
        core = UsdmVenue([USDM_SYMBOLS["BTCUSDT"], USDM_SYMBOLS["ETHUSDT"]], USDM_PARAMETERS, START_NS)
        keys = _keys(core)
        client = Client(UsdmFace(core, FaceParameters(keys=keys, **parameters)), core, "/fapi/")
        client.book("BTCUSDT", [(600_000, 5_000), (599_990, 9_000)], [(600_010, 5_000), (600_020, 9_000)])
        client.book("ETHUSDT", [(250_000, 100_000)], [(250_001, 100_000)])
        client.trade("BTCUSDT", 600_010, 10)
        client.flush()
        return client

    return make


@pytest.fixture
def spot(make_spot: Callable[..., Client]) -> Client:
    return make_spot()


@pytest.fixture
def usdm(make_usdm: Callable[..., Client]) -> Client:
    return make_usdm()


@pytest.fixture
def private_pem() -> str:
    return DEFAULT_PRIVATE_PEM
