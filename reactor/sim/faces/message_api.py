"""The WebSocket API: one JSON request per text frame, one JSON answer with its id, its status and the rate limits.

A session knows who has logged on (Ed25519 keys only) and, on spot, which accounts' user events it carries. Requests of a
logged-on session may leave out `apiKey` and `signature`; `timestamp` stays mandatory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from reactor.sim.faces.api import NS_PER_MS, NS_PER_US, Api, Call, Endpoint, Security
from reactor.sim.faces.keys import ApiKey, KeyKind
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.streams import Frame, Socket

ID_LENGTH_MAX: Final = 36
SUBSCRIPTIONS_PER_LIFE_MAX: Final = 65_535

MethodHandler = Callable[["MessageSession", Call], Any]


@dataclass(eq=False)
class MessageSession:
    """One connection to the WebSocket API."""

    socket: Socket
    ip: str
    connected_ns: int
    returns_limits: bool = True
    is_microsecond: bool = False
    key: ApiKey | None = None
    authorized_ns: int = 0
    subscriptions: dict[int, int] = field(default_factory=dict)  # subscription id → account
    next_subscription: int = 0


@dataclass(frozen=True)
class SessionMethod:
    """A method about the session itself."""

    handler: MethodHandler
    security: Security = Security.NONE
    weight: int = 2


class MessageApi:
    """All WebSocket API sessions of one venue. `logon_refusal`: what an HMAC key hears at session.logon."""

    def __init__(self, api: Api, logon_refusal: VenueError, hmac_may_log_on: bool = False) -> None:
        self.api = api
        self._logon_refusal = logon_refusal
        self._hmac_may_log_on = hmac_may_log_on
        self.sessions: dict[int, MessageSession] = {}
        self.methods: dict[str, SessionMethod] = {
            "session.logon": SessionMethod(self._log_on, Security.SIGNED),
            "session.status": SessionMethod(self._status),
            "session.logout": SessionMethod(self._log_out),
        }

    def open(self, socket: Socket, query: Mapping[str, str], ip: str, now_ns: int) -> None:
        """A new connection."""
        self.sessions[id(socket)] = MessageSession(
            socket,
            ip,
            now_ns,
            query.get("returnRateLimits", "true").lower() != "false",
            query.get("timeUnit", "").upper() == "MICROSECOND",
        )

    def close(self, socket: Socket) -> None:
        """The connection is gone, with its subscriptions."""
        self.sessions.pop(id(socket), None)

    def on_message(self, session: MessageSession, payload: bytes, now_ns: int) -> None:
        """Answers one request frame."""
        try:
            message = orjson.loads(payload)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            session.socket.send(_MALFORMED)
            return
        identity = message.get("id")
        if isinstance(identity, bool) or not (
            identity is None or isinstance(identity, int) or (isinstance(identity, str) and len(identity) <= ID_LENGTH_MAX)
        ):
            session.socket.send(_MALFORMED)
            return
        method = message.get("method")
        params = message.get("params")
        call = Call.of_session(session.ip, now_ns, session.key, session.is_microsecond)
        answer: dict[str, Any] = {"id": identity}
        returns_limits = session.returns_limits
        delay_ns = 0
        name = ""
        try:
            if params is None:
                params = {}
            if not isinstance(method, str) or not method:
                raise VenueError(-1102, "Mandatory parameter 'method' was not sent, was empty/null, or malformed.")
            if not isinstance(params, dict):
                raise VenueError(-1102, "Mandatory parameter 'params' was not sent, was empty/null, or malformed.")
            if "returnRateLimits" in params:
                returns_limits = params["returnRateLimits"] not in (False, "false")
            name = method.removeprefix("v3/").removeprefix("v1/")
            if name in self.methods:
                answer |= {"status": 200, "result": self._run_session(session, self.methods[name], params, call)}
            elif name in self.api.methods:
                result, fate = self.api.run_message(name, params, call)
                delay_ns = fate.delay_ns
                if fate.kind == "lost_cut":
                    session.socket.close(1011, "")
                    return
                answer |= {"status": 200, "result": orjson.Fragment(result) if isinstance(result, bytes) else result}
            else:
                raise VenueError(-1130, "Data sent for parameter 'method' is not valid.")
        except VenueError as error:
            answer |= {"status": error.status, "error": self._error(error, now_ns)}
        if returns_limits:
            endpoint = self.api.methods.get(name)
            account = call.account if endpoint is not None and endpoint.orders and call.account >= 0 else None
            answer["rateLimits"] = self.api.limits.message_rows(session.ip, account, now_ns)
        session.socket.send(orjson.dumps(answer), Frame.ANSWER, delay_ns)

    def _error(self, error: VenueError, now_ns: int) -> dict[str, Any]:
        fields = error.fields()
        if error.retry_after_ns:  # Here "retryAfter" is an epoch in ms; in REST it is a delay in seconds.
            fields["data"] = {
                "serverTime": now_ns // 1_000_000,
                "retryAfter": (now_ns + error.retry_after_ns) // 1_000_000,
            }
        return fields

    def _run_session(self, session: MessageSession, method: SessionMethod, params: Mapping[str, Any], call: Call) -> Any:
        endpoint = Endpoint(lambda inner: method.handler(session, inner), method.weight, method.security)
        return self.api.run(endpoint, params, call)

    # --- the session's own methods

    def _log_on(self, session: MessageSession, call: Call) -> dict[str, Any]:
        assert call.key is not None, "signed methods have a key"
        if call.key.kind is not KeyKind.ED25519 and not self._hmac_may_log_on:
            raise self._logon_refusal
        session.key = call.key
        session.authorized_ns = call.now_ns
        return self._status(session, call)

    def _log_out(self, session: MessageSession, call: Call) -> dict[str, Any]:
        session.key = None
        session.authorized_ns = 0
        return self._status(session, call)

    def _status(self, session: MessageSession, call: Call) -> dict[str, Any]:
        return {
            "apiKey": session.key.api_key if session.key is not None else None,
            "authorizedSince": call.time(session.authorized_ns) if session.key is not None else None,
            "connectedSince": call.time(session.connected_ns),
            "returnRateLimits": session.returns_limits,
            "serverTime": call.time(call.now_ns),
            "userDataStream": bool(session.subscriptions),
        }


class UserSubscriptions:
    """Spot: user events on the WebSocket API's own connection, wrapped as `{"subscriptionId":0,"event":{…}}`."""

    def __init__(self, messages: MessageApi) -> None:
        self._messages = messages
        messages.methods |= {
            "userDataStream.subscribe": SessionMethod(self._subscribe),
            "userDataStream.subscribe.signature": SessionMethod(self._subscribe_signed, Security.SIGNED),
            "userDataStream.unsubscribe": SessionMethod(self._unsubscribe),
            "session.subscriptions": SessionMethod(self._list),
        }

    def publish(self, account: int, encode: Callable[[Any, int], bytes], event: Any) -> None:
        """One event of one account to every session that carries it: `encode(event, ns per time unit)`."""
        encoded: dict[int, bytes] = {}
        for session in self._messages.sessions.values():
            for subscription, subscriber in session.subscriptions.items():
                if subscriber == account:
                    unit = NS_PER_US if session.is_microsecond else NS_PER_MS
                    if unit not in encoded:
                        encoded[unit] = encode(event, unit)
                    frame = b'{"subscriptionId":%d,"event":%b}' % (subscription, encoded[unit])
                    session.socket.send(frame, Frame.USER)

    def _subscribe(self, session: MessageSession, call: Call) -> dict[str, int]:
        if session.key is None:
            raise VenueError(-1193, "WebSocket session not authenticated", 401)
        return self._add(session, session.key.account)

    def _subscribe_signed(self, session: MessageSession, call: Call) -> dict[str, int]:
        return self._add(session, call.account)

    def _add(self, session: MessageSession, account: int) -> dict[str, int]:
        if account in session.subscriptions.values():
            raise VenueError(-2035, "User Data Stream subscription already active.")
        if session.next_subscription >= SUBSCRIPTIONS_PER_LIFE_MAX:
            raise VenueError(-2042, "Maximum subscription ID reached for this connection.")
        subscription = session.next_subscription
        session.next_subscription += 1
        session.subscriptions[subscription] = account
        return {"subscriptionId": subscription}

    def _unsubscribe(self, session: MessageSession, call: Call) -> dict[str, int]:
        if "subscriptionId" in call.params:
            if session.subscriptions.pop(call.params.integer("subscriptionId"), None) is None:
                raise VenueError(-2036, "User Data Stream subscription not active.")
        elif session.subscriptions:
            session.subscriptions.clear()
        else:
            raise VenueError(-2036, "User Data Stream subscription not active.")
        return {}

    def _list(self, session: MessageSession, call: Call) -> list[dict[str, int]]:
        return [{"subscriptionId": subscription} for subscription in session.subscriptions]


_MALFORMED: Final = orjson.dumps({"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request"}})
