"""The simulated exchange as a process: one loop, two ports, real time. It moves bytes between sockets and the faces.

    port P      Binance Spot      /api/v3/…  /ws-api/v3  /ws…  /stream
    port P + 1  Binance USD-M     /fapi/…    /ws-fapi/v1 /public|/market|/private /ws… /stream…

    market source ──advance──▶ SimulatedExchange ──events──▶ faces ──frames──▶ sockets
                                       ▲                       ▲
                                       └─────── orders ────────┘◀── requests, frames ── clients

`run_server(parameters)` blocks until SIGTERM, Ctrl-C or the end of `duration_s`.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import uvloop
import yaml
from aiohttp import WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError

from reactor.domain.errors import ConfigError
from reactor.loop.clock import SystemClock
from reactor.loop.log import Log, StreamLog
from reactor.sim.events import Warned
from reactor.sim.exchange import SimulatedExchange
from reactor.sim.faces.face import Face, FaceParameters
from reactor.sim.faces.keys import DEFAULT_KEYS, ApiKey, KeyKind
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import HttpRequest, split_pairs
from reactor.sim.faces.spot import SpotFace
from reactor.sim.faces.usdm import UsdmFace
from reactor.sim.faults import FaultPlan
from reactor.sim.generator import Generator
from reactor.sim.live_streams import LiveStreams
from reactor.sim.parameters import FIRST_ACCOUNTS, SimParameters
from reactor.sim.replay import Replay
from reactor.sim.sockets import Sender, SharedFrame
from reactor.sim.updates import MarketSource

BODY_BYTES_MAX: Final = 1 << 20
MESSAGE_BYTES_MAX: Final = 1 << 20
LINE_BYTES_MAX: Final = 1 << 16  # A request line; "1024 streams per connection" are named in one.
STOP_S_MAX: Final = 0.5  # A client that does not answer the closing handshake is not waited for any longer.
PUMP_S_MIN: Final = 0.001  # The market is taken in steps of at least this: a shared core has other work.
PUMP_S_MAX: Final = 0.005
LIMIT_NAMES: Final = frozenset({"REQUEST_WEIGHT", "RAW_REQUESTS", "ORDERS", "CONNECTIONS", "MESSAGES"})


@dataclass
class SimCounters:
    """What the server has done since its start."""

    requests: int = 0
    refusals: int = 0
    frames_in: int = 0
    frames_out: int = 0
    connections: int = 0
    connections_open: int = 0
    market_updates: int = 0
    faults_of_ours: int = 0  # exceptions that no client should be able to cause


def source_of(parameters: SimParameters) -> MarketSource:
    """Where the market comes from.

    Raises:
        DataError: a capture is missing or not what it claims to be.
    """
    if parameters.replay and parameters.live is not None:
        raise ConfigError("replay and live: a market has one source")
    if parameters.replay:
        return Replay(parameters.replay, speed=parameters.speed)
    return Generator(replace(parameters.generator, speed=parameters.speed))


def keys_of_file(path: Path) -> list[tuple[str, ApiKey]]:
    """Keys from a YAML or JSON list: `{api_key, account, hmac_secret | ed25519_public_key | rsa_public_key}`.

    The public keys are PEM text. Returns (account name, key); the key's account number is not set yet.

    Raises:
        ConfigError: what is wrong, with the row.
    """
    try:
        rows = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"keys file {path}: {error}") from None
    kinds = {"hmac_secret": KeyKind.HMAC, "ed25519_public_key": KeyKind.ED25519, "rsa_public_key": KeyKind.RSA}
    keys: list[tuple[str, ApiKey]] = []
    problems = []
    for number, row in enumerate(rows if isinstance(rows, list) else [None], 1):
        secrets = [name for name in kinds if isinstance(row, dict) and row.get(name)]
        if not isinstance(row, dict) or not row.get("api_key") or len(secrets) != 1:
            problems.append(f"keys file {path}, row {number}: write api_key, account and one of {', '.join(kinds)}")
            continue
        key = ApiKey(str(row["api_key"]), str(row[secrets[0]]), -1, kinds[secrets[0]])
        keys.append((str(row.get("account", FIRST_ACCOUNTS[0].name)), key))
    if problems:
        raise ConfigError(problems)
    return keys


def bind_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Two listening sockets on `port` and `port + 1`; port 0 tries free pairs.

    Raises:
        ConfigError: a port is in use or the host is not ours, with the remedy.
    """
    for _ in range(50):
        first = _bind(host, port)
        try:
            return first, _bind(host, first.getsockname()[1] + 1)
        except ConfigError:
            first.close()
            if port:
                raise
    raise ConfigError(f"no two neighbouring free ports on {host}; choose a port yourself with --port")


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is in use: stop who listens there (`ss -ltnp 'sport = :{port}'` names it) "
                "or choose another with --port (two neighbouring ports are needed)"
            ) from None
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port") from None
    listener.setblocking(False)
    return listener


def open_exchange(
    parameters: SimParameters, now_ns: int, source: MarketSource | None = None
) -> tuple[SimulatedExchange, FaceParameters]:
    """The exchange with its accounts, and the faces' parameters with everybody's keys. `source`: in place of the parameters'.

    Raises:
        ConfigError, DataError: a key, an account name or a capture is wrong.
    """
    exchange = SimulatedExchange(source or source_of(parameters), now_ns, parameters.spot, parameters.usdm, parameters.funding)
    numbers: dict[str, int] = {}
    keys: list[ApiKey] = []
    for account in parameters.accounts:
        number = numbers[account.name] = exchange.add_account(account, now_ns)
        if account.ed25519_public_key:
            keys.append(ApiKey(account.api_key, account.ed25519_public_key, number, KeyKind.ED25519))
        else:
            keys.append(ApiKey(account.api_key, account.hmac_secret, number))
    known = {key.api_key for key in keys}
    first = next(iter(numbers.values()))
    if parameters.face.keys == DEFAULT_KEYS:
        keys += [replace(key, account=first) for key in DEFAULT_KEYS if key.kind is KeyKind.ED25519]
    else:
        keys += [key for key in parameters.face.keys if key.api_key not in known]
    if parameters.keys_file is not None:
        for name, key in keys_of_file(parameters.keys_file):
            if name not in numbers:
                raise ConfigError(f"keys file: key {key.api_key}: no account {name!r}; there are {', '.join(numbers)}")
            keys.append(replace(key, account=numbers[name]))
    return exchange, replace(parameters.face, keys=tuple(keys))


class _OneSentence(logging.Handler):
    """What the HTTP library says about a request that is none, as a sentence of ours instead of a traceback."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        why = " ".join(str(error).split())[:200] if error is not None else record.getMessage()
        if isinstance(error, ConnectionError):
            self._log.debug("a client left before its answer")
        elif isinstance(error, HttpProcessingError):
            self._log.warning("a request that is no HTTP was refused", why=why)
        else:
            self._log.error("the simulated exchange failed on a request; please report it", why=why)


def _refusals_to(log: Log) -> logging.Logger:
    logger = logging.Logger("reactor.sim.http", logging.WARNING)
    logger.addHandler(_OneSentence(log))
    return logger


class SimServer:
    """Both venues on their ports. Everything runs on the loop that `start` was called on."""

    def __init__(self, parameters: SimParameters, log: Log, source: MarketSource | None = None) -> None:
        unknown = parameters.face.lifted_limits - LIMIT_NAMES
        if unknown:
            raise ConfigError(
                f"unknown limits to lift: {', '.join(sorted(unknown))}; there are {', '.join(sorted(LIMIT_NAMES))}"
            )
        self.parameters = parameters
        self.counters = SimCounters()
        self._log = log
        self._plan = FaultPlan(parameters.faults) if parameters.faults is not None else None
        self._last_ns = 0
        self.exchange, face = open_exchange(parameters, self.now_ns(), source)
        self.spot = SpotFace(self.exchange.spot, face, self._plan)
        self.usdm = UsdmFace(self.exchange.usdm, face, self._plan)
        self._shared = SharedFrame()
        self._runners: list[web.ServerRunner] = []
        self._senders: dict[Sender, web.WebSocketResponse] = {}
        self._closing: set[asyncio.Task[bool]] = set()
        self._pump_handle: asyncio.TimerHandle | None = None
        self._is_flush_due = False
        self.spot_port = 0
        self.usdm_port = 0

    def now_ns(self) -> int:
        """The exchange's clock: the host's wall clock, skewed if the plan says so, never backwards."""
        now_ns = time.time_ns() + (self._plan.skew_ns() if self._plan is not None else 0)
        self._last_ns = max(self._last_ns, now_ns)
        return self._last_ns

    async def start(self) -> None:
        """Listens on both ports and lets the market run.

        Raises:
            ConfigError: a port is in use.
        """
        self._loop = asyncio.get_running_loop()
        listeners = bind_pair(self.parameters.host, self.parameters.port)
        self.spot_port, self.usdm_port = (listener.getsockname()[1] for listener in listeners)
        faces: tuple[Face, Face] = (self.spot, self.usdm)
        for face, listener in zip(faces, listeners, strict=True):
            server = web.Server(
                self._handler(face),
                access_log=None,
                logger=_refusals_to(self._log),
                max_line_size=LINE_BYTES_MAX,
            )
            runner = web.ServerRunner(server, shutdown_timeout=STOP_S_MAX)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            self._runners.append(runner)
        self._pump()

    async def stop(self) -> None:
        """Tells the clients, closes every connection and both ports."""
        now_ns = self.now_ns()
        for face in (self.spot, self.usdm):
            face.on_shutdown(now_ns)
        if self._pump_handle is not None:
            self._pump_handle.cancel()
        sockets = list(self._senders.items())
        for sender, _ in sockets:
            sender.is_closed = True
        closing = [self._loop.create_task(ws.close(code=1001, message=b"")) for _, ws in sockets]
        if closing:
            await asyncio.wait(closing, timeout=STOP_S_MAX)
        for runner in self._runners:
            await runner.cleanup()

    # --- the market

    def _pump(self) -> None:
        now_ns = self.now_ns()
        self._advance(now_ns)
        for line in self.exchange.notices.take():
            (self._log.warning if isinstance(line, Warned) else self._log.info)(line)
        wait_s = min(max((self.exchange.next_due_ns() - now_ns) / 1e9, PUMP_S_MIN), PUMP_S_MAX)
        self._pump_handle = self._loop.call_later(wait_s, self._pump)

    def _advance(self, now_ns: int) -> None:
        self.counters.market_updates += self.exchange.advance(now_ns)
        self.spot.on_time(now_ns)
        self.usdm.on_time(now_ns)

    def _flush_soon(self) -> None:
        """User events leave after the answer that caused them, in the same turn of the loop."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        now_ns = self.now_ns()
        self.spot.on_time(now_ns)
        self.usdm.on_time(now_ns)

    # --- REST

    def _handler(self, face: Face) -> Callable[[web.BaseRequest], "asyncio.Future[web.StreamResponse]"]:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._serve_socket(face, request)
            return await self._serve_request(face, request)

        return handle  # type: ignore[return-value]  # aiohttp's own type is wider than its documentation

    async def _serve_request(self, face: Face, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if (request.content_length or 0) > BODY_BYTES_MAX:
            return web.Response(status=413, body=VenueError(-1101, "Too many parameters.").body())
        body = await request.read() if request.can_read_body else b""
        headers = {name.lower(): value for name, value in request.headers.items()}
        now_ns = self.now_ns()
        self.counters.requests += 1
        self.counters.market_updates += self.exchange.advance(now_ns)
        try:
            answer = face.on_request(HttpRequest(request.method, path, query, headers, body, request.remote or ""), now_ns)
        except Exception as error:
            self._report(error)
            failed = VenueError(-1000, "An unknown error occurred while processing the request.", 500)
            return web.Response(status=500, body=failed.body(), content_type="application/json")
        self.counters.refusals += answer.status >= 400
        self._flush_soon()
        if answer.delay_ns:
            await asyncio.sleep(answer.delay_ns / 1e9)
        if answer.is_cut and request.transport is not None:
            request.transport.abort()
        response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        response.headers["Content-Type"] = answer.content_type
        return response

    def _report(self, error: Exception) -> None:
        self.counters.faults_of_ours += 1
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where is not None else "?"
        self._log.error("the simulated exchange failed on a request; please report it", error=repr(error), where=place)

    # --- WebSocket

    async def _serve_socket(self, face: Face, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=MESSAGE_BYTES_MAX)
        if not ws.can_prepare(request).ok:
            return web.Response(status=400)
        sender = Sender(self._loop, self._shared, lambda code, reason: self._close_soon(ws, code, reason), self._plan)
        status = face.on_open(sender, path, dict(split_pairs(query)), request.remote or "", self.now_ns())
        if status != 101:
            return web.Response(status=status)
        timers: list[asyncio.TimerHandle] = []
        self.counters.connections += 1
        self.counters.connections_open += 1
        self._senders[sender] = ws
        try:
            await ws.prepare(request)
            assert request.transport is not None, "the handshake has just been sent"
            sender.attach(request.transport)
            keeper = _Keeper(self, face, sender, timers)
            keeper.start()
            await self._read(face, ws, sender, keeper)
        finally:
            for timer in timers:
                timer.cancel()
            sender.is_closed = True
            self._senders.pop(sender, None)
            self.counters.connections_open -= 1
            self.counters.frames_out += sender.sent
            face.on_close(sender, self.now_ns())
        return ws

    async def _read(self, face: Face, ws: web.WebSocketResponse, sender: Sender, keeper: "_Keeper") -> None:
        while not ws.closed:
            message = await ws.receive()
            kind = message.type
            if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
                payload = message.data.encode() if kind is WSMsgType.TEXT else message.data
                now_ns = self.now_ns()
                self.counters.frames_in += 1
                self.counters.market_updates += self.exchange.advance(now_ns)
                try:
                    face.on_message(sender, payload, now_ns)
                except Exception as error:
                    self._report(error)
                    sender.close(1011, "Internal error")
                self._flush_soon()
            elif kind is WSMsgType.PING:
                await ws.pong(message.data)
                face.on_ping(sender, self.now_ns())
            elif kind is WSMsgType.PONG:
                keeper.on_pong()
            else:
                return

    def _close_soon(self, ws: web.WebSocketResponse, code: int, reason: str) -> None:
        task = self._loop.create_task(ws.close(code=code, message=reason.encode()))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class _Keeper:
    """Pings one connection, drops it if it does not answer, and ends its life."""

    def __init__(self, server: SimServer, face: Face, sender: Sender, timers: list[asyncio.TimerHandle]) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server
        self._sender = sender
        self._timers = timers
        self._ping_s = server.parameters.ping_s or face.heartbeat.ping_ns / 1e9
        self._pong_s_max = face.heartbeat.pong_ns_max / 1e9
        self._last_pong_s = self._loop.time()

    def start(self) -> None:
        """The connection is open."""
        life_s = self._server.parameters.connection_life_s
        self._timers[:] = [
            self._loop.call_later(self._ping_s, self._ping),
            self._loop.call_later(life_s, self._sender.close, 1008, "disconnected"),
        ]

    def on_pong(self) -> None:
        """The client is alive."""
        self._last_pong_s = self._loop.time()

    def _ping(self) -> None:
        if self._loop.time() - self._last_pong_s > self._ping_s + self._pong_s_max:
            self._sender.close(1008, "Pong timeout")
            return
        self._sender.ping(str(self._server.now_ns() // 1_000_000).encode())
        self._timers[0] = self._loop.call_later(self._ping_s, self._ping)


async def _serve(
    parameters: SimParameters, log: Log, on_ready: Callable[[SimServer], None] | None, ready_fd: int | None
) -> SimCounters:
    streams = LiveStreams(parameters.live, log) if parameters.live is not None else None
    source = await streams.open() if streams is not None else None
    server = SimServer(parameters, log, source)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):  # Not on the main thread: no signals.
            loop.add_signal_handler(number, stopped.set)
    await server.start()
    if on_ready is not None:
        on_ready(server)
    if ready_fd is not None:
        os.write(ready_fd, f"{server.spot_port} {server.usdm_port}\n".encode())
        os.close(ready_fd)
    timeout_s = parameters.duration_s or None
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopped.wait(), timeout_s)
    await server.stop()
    if streams is not None:
        await streams.close()
    return server.counters


def run_server(
    parameters: SimParameters,
    *,
    log: Log | None = None,
    on_ready: Callable[[SimServer], None] | None = None,
    ready_fd: int | None = None,
) -> SimCounters:
    """Runs the exchange until SIGTERM, Ctrl-C or the end of its duration; returns what it did.

    `on_ready(server)` is called once both ports listen; `ready_fd` gets one line "<spot port> <usdm port>" then, and is closed.

    Raises:
        ConfigError: a port is in use, a key or a name is wrong. One sentence each, for the user.
        DataError: a capture is damaged.
        ConfigError: the venue whose market is followed cannot be reached.
    """
    log = log if log is not None else StreamLog(SystemClock(), "sim")
    return uvloop.run(_serve(parameters, log, on_ready, ready_fd))
