"""Many trials of one strategy on the same data: on every core of this host, or on a Dask cluster.

    points ─▶ those not yet done ─▶ processes │ cluster ─▶ one line of DIR/done.jsonl each ─▶ results.parquet, a table

A line is written when its trial is done, so a sweep that was killed goes on where it stopped: the same command again. Local
workers are forked after the loop was compiled and the data were loaded: they share both. A cluster's workers load and compile
once each, so the files must be where they can read them.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from reactor.backtest.choice import Choice
from reactor.backtest.figures import plain
from reactor.backtest.grid import Point, key_of
from reactor.backtest.market import Market
from reactor.backtest.parameters import BacktestParameters
from reactor.backtest.trial import open_markets, trial
from reactor.domain.errors import ConfigError, TradeError

AHEAD: Final = 4  # Trials handed out per worker before the first answers: nobody waits, and a stop comes soon.
DONE_FILE: Final = "done.jsonl"
SETTINGS_FILE: Final = "sweep.json"

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What all trials of a sweep share. Travels to workers."""

    choice: Choice
    parameters: BacktestParameters

    def fingerprint(self) -> dict[str, Any]:
        """What results depend on besides the point: another one is another sweep."""
        files = [path for asset in self.parameters.assets for path in asset.files]
        return {
            "strategy": asdict(self.choice) | {"code": _size_and_time(self.choice.file) if self.choice.file else None},
            "parameters": json.loads(json.dumps(asdict(self.parameters), default=str)),
            "data": {path: _size_and_time(path) for path in files},
        }


def _size_and_time(path: str) -> list[int]:
    state = os.stat(path)
    return [state.st_size, state.st_mtime_ns]


class Done:
    """The trials that are done, on disk."""

    def __init__(self, directory: Path, job: Job, is_fresh: bool = False) -> None:
        """Raises ConfigError if the folder holds another sweep or cannot be written."""
        self._path = directory / DONE_FILE
        settings = directory / SETTINGS_FILE
        wanted = json.loads(json.dumps(job.fingerprint()))
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if is_fresh:
                self._path.unlink(missing_ok=True)
            elif self._path.is_file() and self._path.stat().st_size and _read(settings) != wanted:
                raise ConfigError(
                    f"-o {directory}: holds a sweep with other settings or data; another folder, or --fresh to forget it"
                )
            settings.write_text(json.dumps(wanted, indent=2) + "\n")
            self.rows = self._load()
            self._file = self._path.open("a")
        except OSError as error:
            raise ConfigError(f"-o {directory}: {error.strerror}; choose a folder that you may write to") from None

    def _load(self) -> dict[str, Row]:
        """Every whole line; a torn one at the end (killed while writing) is cut off."""
        rows: dict[str, Row] = {}
        whole = 0
        raw = self._path.read_bytes() if self._path.is_file() else b""
        for line in raw.splitlines(keepends=True):
            try:
                row = json.loads(line)
                if not line.endswith(b"\n"):
                    break
                rows[row["key"]] = row
            except (ValueError, KeyError, TypeError):
                break
            whole += len(line)
        if whole < len(raw):
            os.truncate(self._path, whole)
        return rows

    def add(self, row: Row) -> None:
        """Keeps one; it is on its way to the disk when this returns."""
        self.rows[row["key"]] = row
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def run_point(job: Job, point: Point, markets: Sequence[Market] | None = None) -> Row:
    """One trial as a row: the point, its figures, or the sentence that says why there are none."""
    row: Row = {"key": key_of(point), "point": dict(point)}
    try:
        report = trial(job.choice.with_parameters(point), job.parameters, markets if markets is not None else _markets(job))
    except TradeError as error:
        return row | {"error": str(error)}
    return row | {"figures": plain(report.figures[-1]), "run_s": report.result.run_s}


_loaded: dict[str, list[Market]] = {}


def _markets(job: Job) -> list[Market]:
    """Loaded once per process and sweep."""
    key = json.dumps([asdict(asset) for asset in job.parameters.assets], default=str)
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = open_markets(job.parameters)
    return _loaded[key]


def sweep(
    job: Job,
    points: Sequence[Point],
    done: Done,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    on_row: Callable[[Row], None] = lambda row: None,
) -> None:
    """Runs what is not done yet; every row goes to `done` and `on_row` as it comes.

    Raises:
        ConfigError: Dask is missing, its scheduler does not answer, or a worker died.
        DataError: the data cannot be backtested.
    """
    left = [point for point in points if key_of(point) not in done.rows]
    if not left:
        return
    rows = _on_cluster(job, left, scheduler) if scheduler is not None else _on_cores(job, left, workers)
    for row in rows:
        done.add(row)
        on_row(row)


def _on_cores(job: Job, points: Sequence[Point], workers: int) -> Iterator[Row]:
    _markets(job)  # Here, so that the workers share it, and bad data are said once.
    yield run_point(job, points[0])  # This compiles: the workers inherit that too.
    rest = points[1:]
    count = min(workers or len(os.sched_getaffinity(0)), len(rest))
    if count <= 1:
        yield from (run_point(job, point) for point in rest)
        return
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(count, context, initializer=_ignore_interrupt)
    try:
        waiting = iter(rest)
        running = {pool.submit(run_point, job, point) for point in islice(waiting, count * AHEAD)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(run_point, job, point) for point in islice(waiting, len(finished))}
            yield from (each.result() for each in finished)
    except BrokenProcessPool:
        raise ConfigError("a worker died (out of memory?); what was done is kept: the same command goes on") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupt() -> None:
    """Ctrl-C reaches the whole group; only the parent stops the sweep, in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_cluster(job: Job, points: Sequence[Point], scheduler: str) -> Iterator[Row]:
    try:
        import distributed as installed
    except ImportError:
        raise ConfigError("--scheduler needs Dask: pip install 'crypto-trade[cluster]'") from None
    distributed: Any = installed
    try:
        client = distributed.Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise ConfigError(f"--scheduler {scheduler}: does not answer ({error})") from None
    with client:
        slots = sum(client.nthreads().values())
        if not slots:
            raise ConfigError(f"--scheduler {scheduler}: has no workers")
        waiting = iter(points)
        job = replace(job, parameters=_with_absolute_files(job.parameters))
        shared = client.scatter(job, broadcast=True, hash=False)
        completed = distributed.as_completed(
            [client.submit(run_point, shared, point, pure=False) for point in islice(waiting, slots * AHEAD)]
        )
        future: Future[Row]
        for future in completed:
            try:
                yield future.result()
            except Exception as error:
                raise ConfigError(f"--scheduler {scheduler}: a worker failed: {type(error).__name__}: {error}") from error
            for point in islice(waiting, 1):
                completed.add(client.submit(run_point, shared, point, pure=False))


def _with_absolute_files(parameters: BacktestParameters) -> BacktestParameters:
    """Workers may stand in another folder."""
    assets = tuple(
        replace(asset, files=tuple(str(Path(path).resolve()) for path in asset.files)) for asset in parameters.assets
    )
    latency = str(Path(parameters.latency).resolve()) if Path(parameters.latency).is_file() else parameters.latency
    funding = str(Path(parameters.funding_file).resolve()) if parameters.funding_file else ""
    return replace(parameters, assets=assets, latency=latency, funding_file=funding)
