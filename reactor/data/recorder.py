"""Records what a venue sends: `<receive ns> <json>` lines, one gzip file per symbol and UTC day, as hftbacktest's collector.

    source (sessions │ topic) ─▶ SymbolRecording ─▶ CaptureFile      OUT/btcusdt_20240808.gz
                                      │   ▲
                                      │   └── snapshots (REST, within the venue's weight)
                                      └─▶ gaps                       OUT/gaps.jsonl

Everything runs on one loop and nothing is dropped on the way: if the disk is too slow the loop waits for it, the sockets fill,
and a session that the venue cuts for it is a reported gap. A disk that is full ends the recording with an error; what is in
the files is whole.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from reactor.data.capture_file import CaptureFile, recover
from reactor.data.recording import DAY_NS, HOLD_NS, Gap, SymbolRecording, SymbolStatistics
from reactor.data.sources import FrameReader, OwnSessions, Source, Topics
from reactor.data.venues import SNAPSHOT_DEPTH, RecordedVenue
from reactor.domain.errors import ConfigError, DataError
from reactor.exchanges.venue import Endpoints, RateLimit, RateLimitKind
from reactor.feed.parameters import SessionParameters
from reactor.loop.clock import Clock, SystemClock
from reactor.loop.log import Log
from reactor.net.backoff import Backoff, BackoffParameters
from reactor.net.network import Failure, Network, Request, Response
from reactor.net.rate_limit import MARKET_DATA_CEILING, RateBudget, RateBudgetParameters
from reactor.net.session import UvloopNetwork

MS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
MINUTE_MS: Final = 60_000
TICK_S: Final = 0.01
TOPIC_TICK_S: Final = 0.001  # 256 messages wait for a subscriber: 25 ms at ten thousand a second.
SNAPSHOTS_IN_FLIGHT_MAX: Final = 8  # Fifty symbols at midnight are through in a second.
SNAPSHOT_TIMEOUT_NS: Final = 5 * SECOND_NS
QUIET_NS: Final = 2 * SECOND_NS  # A stream that says nothing has its snapshot fetched all the same.
REFUSALS_MAX: Final = 3  # 400: the venue does not know the symbol. Asking on would only burn weight.
GAPS_FILE: Final = "gaps.jsonl"
SYMBOLS_MAX: Final = 300  # Three streams each: a thousand are a connection's limit.


@dataclass(frozen=True)
class RecorderParameters:
    """What is to be recorded, and where to."""

    directory: Path
    venue: RecordedVenue
    symbols: tuple[str, ...]
    streams: tuple[str, ...] = ()  # without the symbol; empty: the venue's default
    instances: tuple[str, ...] = ()  # of running systems; empty: own sessions
    redundancy: int = 1  # own sessions per line; two cost twice the traffic and lose nothing when one breaks
    base_url: str = ""  # of a simulated exchange
    environment: str = "live"
    duration_s: float = 0.0  # 0: until told to stop
    flush_s: float = 2.0  # What a killed process may lose.
    statistics_s: float = 5.0
    session_life_s: float = 23 * 3600


@dataclass
class RecorderReport:
    """What was recorded."""

    symbols: dict[str, SymbolStatistics] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    file_bytes: int = 0
    malformed: int = 0
    foreign: int = 0
    snapshots_failed: int = 0
    unknown_symbols: list[str] = field(default_factory=list)
    recovered_lines: int = 0
    duration_s: float = 0.0
    alarm: str = ""  # why it ended before its time

    @property
    def lines(self) -> int:
        """All lines written."""
        return sum(statistics.lines for statistics in self.symbols.values())


class Files:
    """The open files: one per symbol, the day of its recording. After a failure nothing is written any more."""

    def __init__(self, directory: Path, on_failure: Callable[[DataError], None]) -> None:
        self.directory = directory
        self.failure: DataError | None = None
        self.written_bytes = 0  # of files that are closed
        self.paths: list[str] = []
        self._open: dict[str, tuple[int, CaptureFile]] = {}
        self._on_failure = on_failure

    def path_of(self, symbol: str, day: int) -> Path:
        """`<symbol lower>_<YYYYMMDD>.gz`"""
        date = datetime.fromtimestamp(day * DAY_NS / SECOND_NS, UTC)
        return self.directory / f"{symbol.lower()}_{date:%Y%m%d}.gz"

    def open(self, symbol: str, day: int) -> CaptureFile:
        """The file of that day; the one of another day is finished.

        Raises:
            DataError: it cannot be written.
        """
        found = self._open.get(symbol)
        if found is not None:
            if found[0] == day:
                return found[1]
            self._close(symbol)
        file = CaptureFile(self.path_of(symbol, day))
        self._open[symbol] = (day, file)
        self.paths.append(str(file.path))
        return file

    def write(self, recording: SymbolRecording, line: bytes) -> None:
        """A line into the file of the recording's day."""
        if self.failure is not None:
            return
        try:
            self.open(recording.symbol, recording.day).append(line)
        except DataError as error:
            self._fail(error)

    def flush(self) -> None:
        """What waits goes to the disk."""
        for _, file in self._open.values():
            if self.failure is not None:
                return
            try:
                file.flush()
            except DataError as error:
                self._fail(error)

    def close(self) -> None:
        """Finishes every file."""
        for symbol in tuple(self._open):
            try:
                self._close(symbol)
            except DataError as error:
                self._fail(error)

    def bytes(self) -> int:
        """Compressed bytes written."""
        return self.written_bytes + sum(file.written_bytes for _, file in self._open.values())

    def _close(self, symbol: str) -> None:
        _, file = self._open.pop(symbol)
        try:
            file.close()
        finally:
            self.written_bytes += file.written_bytes
            if not file.path.exists():  # Not a line came.
                self.paths.remove(str(file.path))

    def _fail(self, error: DataError) -> None:
        if self.failure is None:
            self.failure = error
            self._on_failure(error)


class Snapshots:
    """Fetches books over REST where a recording wants one, a few at a time, within the weight."""

    def __init__(
        self, venue: RecordedVenue, endpoints: Endpoints, reader: FrameReader, network: Network, clock: Clock, log: Log
    ) -> None:
        self.failed = 0
        self.unknown: list[str] = []
        self._venue = venue
        self._endpoints = endpoints
        self._reader = reader
        self._network = network
        self._clock = clock
        self._log = log
        self._fetching: set[str] = set()
        self._due_ns: dict[str, int] = {}
        self._refusals: dict[str, int] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._paused_until_ns = 0
        self._is_stopped = False
        share = venue.weight_per_minute_max / venue.codec.weight_per_minute
        self._budget = RateBudget(
            [RateLimit(RateLimitKind.WEIGHT, MINUTE_MS, venue.codec.weight_per_minute)],
            RateBudgetParameters(share=share, reserve=0.0, ceiling=MARKET_DATA_CEILING),
        )

    def work(self, recordings: dict[str, SymbolRecording], now_ns: int, wall_ns: int) -> None:
        """Asks for what is wanted and allowed."""
        if now_ns < self._paused_until_ns or self._is_stopped:
            return
        for symbol, recording in recordings.items():
            if not recording.sync.needs_snapshot or symbol in self._fetching or now_ns < self._due_ns.get(symbol, 0):
                continue
            if not recording.sync.kept and now_ns < recording.held_since_ns + QUIET_NS:
                continue  # The first delta says how new the snapshot must be.
            if len(self._fetching) >= SNAPSHOTS_IN_FLIGHT_MAX or self._refusals.get(symbol, 0) >= REFUSALS_MAX:
                continue
            call = self._venue.codec.snapshot_call(self._endpoints, symbol, SNAPSHOT_DEPTH)
            if not self._budget.try_spend(call.weight, 0, wall_ns // MS, is_urgent=False):
                return
            recording.sync.on_request()
            self._fetching.add(symbol)
            request = Request(call.method, call.url, call.headers, call.body, SNAPSHOT_TIMEOUT_NS)
            self._network.request(request, partial(self._on_response, recording, wall_ns // MS))

    def _on_response(self, recording: SymbolRecording, asked_ms: int, response: Response) -> None:
        symbol = recording.symbol
        self._fetching.discard(symbol)
        if self._is_stopped:
            return
        now_ns = self._clock.monotonic_ns()
        wall_ms = self._clock.realtime_ns() // MS
        used = 0 if response.failure else self._venue.codec.used_weight(response.headers)  # by everybody on this address
        if used and asked_ms // MINUTE_MS == wall_ms // MINUTE_MS:  # Else it may be what was used of the minute before.
            self._budget.observe(RateLimitKind.WEIGHT, MINUTE_MS, used, wall_ms)
        backoff = self._backoffs.get(symbol)
        if backoff is None:
            backoff = self._backoffs[symbol] = Backoff(BackoffParameters(first_ns=100 * MS), random.random)
        if response.failure is Failure.NONE and response.status == 200:
            last_update_id = self._reader.read_snapshot(response.body, symbol)
            if last_update_id:
                wall_ns = self._clock.realtime_ns() - now_ns + response.receive_ns
                if recording.on_snapshot(last_update_id, response.body, wall_ns):
                    backoff.reset()
                else:
                    self._due_ns[symbol] = now_ns + backoff.next_delay_ns()
                return
        self.failed += 1
        recording.sync.on_snapshot_failed()
        recording.sync.needs_snapshot = True
        self._due_ns[symbol] = now_ns + backoff.next_delay_ns()
        wait_ns = 0 if response.failure else self._venue.codec.wait_after(response.status, response.headers)
        self._paused_until_ns = max(self._paused_until_ns, now_ns + wait_ns) if wait_ns else self._paused_until_ns
        text = response.text or response.body[:120].decode("ascii", "replace")
        self._log.warning("no snapshot", symbol=symbol, status=response.status, error=text)
        if response.status == 400:
            self._refusals[symbol] = self._refusals.get(symbol, 0) + 1
            if self._refusals[symbol] == REFUSALS_MAX:
                self.unknown.append(symbol)
                self._log.error("the venue refuses the book of this symbol: is its name right?", symbol=symbol, error=text)

    def stop(self) -> None:
        """Asks nothing any more; answers on their way are ignored."""
        self._is_stopped = True


class Recorder:
    """One venue's recording. `run` it on a loop of its own."""

    def __init__(
        self, parameters: RecorderParameters, log: Log, tell: Callable[[str], None] = print, clock: Clock | None = None
    ) -> None:
        """`tell` hears a line of statistics now and then.

        Raises:
            ConfigError: too many symbols or none, a symbol twice.
            DataError: the folder cannot be written, or a file of today cannot be appended to.
        """
        symbols = parameters.symbols
        if not symbols or len(set(symbols)) != len(symbols) or len(symbols) > SYMBOLS_MAX:
            raise ConfigError(f"a recorder takes 1 to {SYMBOLS_MAX} symbols, each once")
        self.parameters = parameters
        self.report = RecorderReport()
        self._log = log
        self._tell = tell
        self._clock = clock or SystemClock()
        self._stopped = asyncio.Event()
        self._gaps = _open_gaps(parameters.directory)
        self._files = Files(parameters.directory, self._on_failure)
        venue = parameters.venue
        streams = parameters.streams or venue.streams_default
        has_depth = any(venue.is_delta(name) for name in streams)
        self._recordings = {
            symbol: SymbolRecording(symbol, venue.codec.sync_rule, has_depth, self._files.write, self._on_gap)
            for symbol in symbols
        }
        self._reader = FrameReader(venue, self._recordings.values(), streams)
        if len(self._reader.streams) > venue.codec.streams_max:
            raise ConfigError(f"{len(self._reader.streams)} streams: one connection carries {venue.codec.streams_max}")
        self._up_since_ns = 0
        self._flush_due_ns = 0
        self._told_ns = self._clock.monotonic_ns()
        self._told_lines = self._told_bytes = 0
        self._recover()

    def stop(self) -> None:
        """Ends the recording in order."""
        self._stopped.set()

    async def run(self) -> RecorderReport:
        """Records until stopped, the duration is over, or the disk is full."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, ValueError, RuntimeError):  # Not on the main thread: no signals.
                loop.add_signal_handler(number, self._stopped.set)
        parameters, clock = self.parameters, self._clock
        network = UvloopNetwork(on_error=self._on_listener_error)
        endpoints = parameters.venue.endpoints(parameters.base_url, parameters.environment)
        source = self._make_source(endpoints, network)
        snapshots = Snapshots(parameters.venue, endpoints, self._reader, network, clock, self._log)
        started_ns = clock.monotonic_ns()
        end_ns = started_ns + int(parameters.duration_s * SECOND_NS) if parameters.duration_s else 0
        tick_s = TOPIC_TICK_S if parameters.instances else TICK_S
        tick_due_ns = 0
        while not self._stopped.is_set():
            now_ns = clock.monotonic_ns()
            source.work(now_ns)
            if now_ns >= tick_due_ns:
                tick_due_ns = now_ns + int(TICK_S * SECOND_NS)
                self._tick(source, snapshots, now_ns)
            if end_ns and now_ns >= end_ns:
                break
            await asyncio.sleep(tick_s)
        snapshots.stop()
        source.stop()
        wall_ns = clock.realtime_ns()
        for recording in self._recordings.values():
            recording.finish(wall_ns)
        self._files.close()
        await network.close()
        os.close(self._gaps)
        report = self.report
        report.duration_s = (clock.monotonic_ns() - started_ns) / SECOND_NS
        report.symbols = {symbol: recording.statistics for symbol, recording in self._recordings.items()}
        report.files, report.file_bytes = self._files.paths, self._files.bytes()
        report.malformed, report.foreign = self._reader.malformed, self._reader.foreign
        report.snapshots_failed, report.unknown_symbols = snapshots.failed, snapshots.unknown
        return report

    def _make_source(self, endpoints: Endpoints, network: Network) -> Source:
        parameters = self.parameters
        if parameters.instances:
            return Topics(parameters.venue, parameters.instances, self._reader, self._recordings, self._clock, self._log)
        sessions = SessionParameters(
            redundancy=parameters.redundancy,
            rotate_after_s=parameters.session_life_s,
            rotate_stagger_s=min(1800.0, parameters.session_life_s / 4),
        )
        return OwnSessions(
            parameters.venue,
            endpoints,
            self._reader,
            self._recordings,
            network,
            self._clock,
            self._log,
            sessions,
            random.random,
        )

    def _recover(self) -> None:
        """What earlier runs left is readable and stays; the time since then is a gap.

        A symbol without a file gets an empty one: whoever dies before its first line leaves at least the moment he began.
        """
        today = self._clock.realtime_ns() // DAY_NS
        for symbol, recording in self._recordings.items():
            path, before = self._files.path_of(symbol, today), self._files.path_of(symbol, today - 1)
            began_ns = path.stat().st_mtime_ns if path.exists() else 0
            if not began_ns and before.exists():
                recovered = recover(before)
            else:
                recovered = self._files.open(symbol, today).recovered
            self.report.recovered_lines += recovered.lines
            if recovered.torn_bytes:
                self._log.warning(
                    "a torn file was recovered", symbol=symbol, lines=recovered.lines, saved=recovered.saved_lines,
                    torn_bytes=recovered.torn_bytes,
                )  # fmt: skip
            if since_ns := recovered.last_ns or began_ns:
                if recovered.torn_bytes:  # Lines that waited for a snapshot stand behind it: what is torn off may be as old.
                    since_ns -= HOLD_NS
                for is_derived in {stream.is_derived for stream in self._reader.streams}:
                    recording.on_lost(since_ns, "the recorder was not running", is_derived)

    def _tick(self, source: Source, snapshots: Snapshots, now_ns: int) -> None:
        wall_ns = self._clock.realtime_ns()
        is_up = source.is_up
        self._up_since_ns = (self._up_since_ns or now_ns) if is_up else 0
        for recording in self._recordings.values():
            recording.on_time(wall_ns, now_ns)
            if is_up and not recording.day and now_ns > self._up_since_ns + QUIET_NS:
                recording.begin(wall_ns, now_ns)
        if is_up:
            snapshots.work(self._recordings, now_ns, wall_ns)
        if now_ns >= self._flush_due_ns:
            self._flush_due_ns = now_ns + int(self.parameters.flush_s * SECOND_NS)
            self._files.flush()
        if now_ns - self._told_ns > self.parameters.statistics_s * SECOND_NS:
            self._tell(self._statistics(now_ns, wall_ns))

    def _statistics(self, now_ns: int, wall_ns: int) -> str:
        all_of = [recording.statistics for recording in self._recordings.values()]
        lines, size = sum(each.lines for each in all_of), sum(each.bytes for each in all_of)
        seconds = (now_ns - self._told_ns) / SECOND_NS
        lags = [each.lag_ns / MS for each in all_of if each.lag_ns]
        text = (
            f"{time.strftime('%H:%M:%S', time.gmtime(wall_ns / SECOND_NS))} {len(all_of)} symbols, {lines:,} lines, "
            f"{(lines - self._told_lines) / seconds:,.0f}/s, {(size - self._told_bytes) / seconds / 1e6:.2f} MB/s, "
            f"{self._files.bytes() / 1e6:.1f} MB on disk, lag {max(lags, default=0.0):.1f} ms, "
            f"{len(self.report.gaps)} gaps, {sum(each.duplicates for each in all_of):,} duplicates"
        )
        self._told_ns, self._told_lines, self._told_bytes = now_ns, lines, size
        return text

    def _on_gap(self, gap: Gap) -> None:
        self.report.gaps.append(gap)
        row = {"venue": self.parameters.venue.name, **asdict(gap)}
        with suppress(OSError):  # A full disk has its own alarm.
            os.write(self._gaps, json.dumps(row).encode() + b"\n")
        self._log.warning("gap", symbol=gap.symbol, stream=gap.stream, reason=gap.reason, messages=gap.count)

    def _on_failure(self, error: DataError) -> None:
        self.report.alarm = str(error)
        self._log.error("recording stops: the disk takes nothing more", error=str(error))
        self._stopped.set()

    def _on_listener_error(self, error: BaseException, where: str) -> None:
        self._log.error("a frame could not be taken; please report it", error=repr(error), where=where)
        self.report.alarm = self.report.alarm or f"internal error in {where}: {error!r}"
        self._stopped.set()


def _open_gaps(directory: Path) -> int:
    path = directory / GAPS_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DataError(str(path), f"cannot be written: {error.strerror}") from None


def record(parameters: RecorderParameters, log: Log, tell: Callable[[str], None] = print) -> RecorderReport:
    """Records on a loop of its own; blocks until it ends (Ctrl-C, SIGTERM, duration, full disk).

    Raises:
        ConfigError, DataError, SegmentError: it cannot begin.
    """

    async def run() -> RecorderReport:
        return await Recorder(parameters, log, tell).run()

    return uvloop.run(run())
