"""How a venue takes a request, by REST or as a message: find the endpoint, count it, check the key, do it, render the answer.

    request ─▶ route ─▶ weight (429, 418) ─▶ key, clock, signature ─▶ handler ─▶ core
                                                                          └─▶ JSON, headers, or {"code","msg"}

One table of endpoints serves both ways in: a WebSocket API method is a name for the same handler.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import orjson

from reactor.sim.events import Refusal
from reactor.sim.faces.keys import ApiKey, Keyring
from reactor.sim.faces.limits import RateLimits
from reactor.sim.faces.refusal import TIMED_OUT, VenueError
from reactor.sim.faces.request import HttpRequest, HttpResponse, Params
from reactor.sim.faults import FaultPlan, RequestFate

HTML: Final = "text/html"
NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000
PROCESSING_NS_MAX: Final = 10_000_000_000  # "Request processing limit 10 s → -1007 (outcome unknown)."

Handler = Callable[["Call"], Any]  # JSON-able, or bytes that are JSON already; a Refusal; or raises VenueError


class Security(Enum):
    """What a request must bring."""

    NONE = 0
    KEY = 1  # the API key only
    SIGNED = 2  # key, timestamp, signature


@dataclass(slots=True)
class Call:
    """One request on its way through a handler."""

    params: Params
    now_ns: int
    ip: str
    account: int = -1  # -1: nobody
    key: ApiKey | None = None
    is_microsecond: bool = False

    @classmethod
    def of_session(cls, ip: str, now_ns: int, key: ApiKey | None, is_microsecond: bool) -> "Call":
        """A request that came as a message; `key`: who has logged on."""
        return cls(Params({}), now_ns, ip, -1 if key is None else key.account, key, is_microsecond)

    def time(self, ns: int) -> int:
        """A time as the client wants it: ms, or µs if it asked so."""
        return ns // (NS_PER_US if self.is_microsecond else NS_PER_MS)


@dataclass(frozen=True)
class Endpoint:
    """One thing that a client may ask."""

    handler: Handler
    weight: int | Callable[[Params], int] = 1
    security: Security = Security.NONE
    orders: int | Callable[[Params], int] = 0  # how much it counts against the order limits; then their counts are told
    is_order: bool = False  # places, changes or cancels: the faults of the order path
    is_exempt: bool = False  # cancels: the system-level protection lets them pass
    known: frozenset[str] | None = None  # the parameters that there are; others are refused (-1104). None: nobody looks
    is_free_on_success: bool = False  # "successful place/cancel/cancelReplace requests cost 0 weight"


def by_symbol(one: int, several: int) -> Callable[[Params], int]:
    """Two weights: with a `symbol`, and without."""
    return lambda params: one if "symbol" in params else several


def refuse(refusal: Refusal) -> VenueError:
    """The core's no in the venue's words."""
    return VenueError(refusal.code, refusal.message, refusal.status)


@dataclass
class Api:
    """The way in, for one venue."""

    keyring: Keyring
    limits: RateLimits
    rest: Mapping[tuple[str, str], Endpoint] = field(default_factory=dict)
    methods: Mapping[str, Endpoint] = field(default_factory=dict)
    not_found: Callable[[HttpRequest], HttpResponse] = lambda request: HttpResponse(404, b"", {}, HTML)
    faults: FaultPlan | None = None
    lost_answer: VenueError = field(default_factory=lambda: VenueError(*TIMED_OUT, status=408))
    unknown_answer: VenueError = field(
        default_factory=lambda: VenueError(-1000, "Unknown error, please check your request or try again later.", 503)
    )

    def on_request(self, request: HttpRequest, now_ns: int) -> HttpResponse:
        """Answers one REST request. Whatever is wrong with it becomes the venue's own error body."""
        endpoint = self.rest.get((request.method, request.path))
        if endpoint is None:
            return self.not_found(request)
        call = Call(
            Params({}), now_ns, request.ip, is_microsecond=request.headers.get("x-mbx-time-unit", "").upper() == "MICROSECOND"
        )
        fate = RequestFate()
        headers: dict[str, str] = {}
        try:
            call.params = Params.of_request(request)
            fate = self._fate(endpoint, call.params)
            result = self._run(endpoint, call, request.headers.get("x-mbx-apikey"), fate)
            status, body = 200, result if isinstance(result, bytes) else orjson.dumps(result)
            if endpoint.orders:
                headers.update(self.limits.order_headers(call.account, now_ns))
            _lose(fate, self)
        except VenueError as error:
            status, body = error.status, error.body()
            if error.retry_after_ns:
                headers["Retry-After"] = str(-(-error.retry_after_ns // 1_000_000_000))
        headers.update(self.limits.weight_header(request.ip, now_ns))
        return HttpResponse(status, body, headers, delay_ns=fate.delay_ns, is_cut=fate.kind == "lost_cut")

    def run_message(self, method: str, params: Mapping[str, Any], call: Call) -> tuple[Any, RequestFate]:
        """Runs one WebSocket API request; `call.key` is the session's key, if it has logged on. Raises VenueError."""
        endpoint = self.methods[method]
        call.params = Params.of_message(params)
        fate = self._fate(endpoint, call.params)
        result = self._run(endpoint, call, call.params.values.get("apiKey"), fate)
        _lose(fate, self)
        return result, fate

    def run(self, endpoint: Endpoint, params: Mapping[str, Any], call: Call) -> Any:
        """Runs a method of the session itself: counted and authenticated like any other, without faults."""
        call.params = Params.of_message(params)
        return self._run(endpoint, call, call.params.values.get("apiKey"), RequestFate())

    def _fate(self, endpoint: Endpoint, params: Params) -> RequestFate:
        if self.faults is None:
            return RequestFate()
        # "Reduce-only/close-position orders are exempt."
        is_exempt = endpoint.is_exempt or params.values.get("reduceOnly", "").lower() == "true"
        fate = self.faults.request(is_order=endpoint.is_order, is_exempt=is_exempt)
        if fate.delay_ns > PROCESSING_NS_MAX and fate.kind == "ok":  # It is done; the answer comes too late to be given.
            return RequestFate(PROCESSING_NS_MAX, "lost_timeout")
        return fate

    def _run(self, endpoint: Endpoint, call: Call, api_key: str | None, fate: RequestFate) -> Any:
        limits = self.limits
        if fate.kind == "banned":
            limits.ban(call.ip, call.now_ns, fate.banned_for_ns)
        weight = endpoint.weight if isinstance(endpoint.weight, int) else endpoint.weight(call.params)
        limits.charge(call.ip, weight, call.now_ns)
        if endpoint.security is not Security.NONE:
            self._authenticate(endpoint, call, api_key)
        if endpoint.known is not None and not endpoint.known.issuperset(call.params.values):
            sent, read = len(call.params.values), len(endpoint.known.intersection(call.params.values))
            raise VenueError(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")
        if fate.kind == "busy":
            raise VenueError(
                -1008,
                "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again.",
                503,
            )
        orders = endpoint.orders if isinstance(endpoint.orders, int) else endpoint.orders(call.params)
        if orders:
            limits.check_orders(call.account, orders, call.now_ns)
        result = endpoint.handler(call)
        if isinstance(result, Refusal):
            raise refuse(result)
        if orders:
            limits.count_orders(call.account, orders, call.now_ns)
        if endpoint.is_free_on_success:
            limits.refund(call.ip, weight)
        return result

    def _authenticate(self, endpoint: Endpoint, call: Call, api_key: str | None) -> None:
        if api_key is None and call.key is not None:  # A session that has logged on.
            if endpoint.security is Security.SIGNED:
                if "signature" in call.params:
                    self.keyring.check(call.key, call.params, call.now_ns)
                else:
                    self.keyring.check_clock(call.params, call.now_ns)
            call.account = call.key.account
            return
        key = self.keyring.find(api_key)
        if endpoint.security is Security.SIGNED:
            self.keyring.check(key, call.params, call.now_ns)
        call.key = key
        call.account = key.account


def _lose(fate: RequestFate, api: Api) -> None:
    """The request was executed; now its answer goes astray."""
    if fate.kind == "lost_timeout":
        raise api.lost_answer
    if fate.kind == "lost_unknown":
        raise api.unknown_answer
