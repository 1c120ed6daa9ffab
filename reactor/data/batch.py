"""Conversions of many files: which inputs make which output, and running them on every core or on a Dask cluster.

    inputs (globs, a date range) ─▶ jobs ─▶ a process pool │ dask.distributed ─▶ one result line each

An output that stands under its name is whole (the writers see to that), so a run that was interrupted is resumed by running
it again: what is there is skipped.
"""

import glob
import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from reactor.data.capture import tell_bytes_to
from reactor.data.convert.collector import convert_collector
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.convert.stream import stream_collector, stream_tardis
from reactor.data.convert.tardis import convert_tardis
from reactor.data.events import EventArray
from reactor.data.npz import load_npz, save_npz
from reactor.data.parquet import load_parquet, save_parquet
from reactor.data.validate import ValidationReport, validate_events
from reactor.domain.errors import DataError, TradeError

T = TypeVar("T")
Source = Literal["collector", "tardis"]
PROGRESS_S: Final = 0.2  # So often other processes are asked how far they are.

_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?!\d)")


@dataclass(frozen=True)
class Job:
    """One conversion: some inputs, in order, to one output."""

    source: Source
    inputs: tuple[str, ...]
    output: str
    options: dict[str, Any] = field(default_factory=dict)
    is_streamed: bool = False  # in bounded memory


@dataclass
class Result:
    """What became of one job."""

    output: str
    statistics: ConversionStatistics | None = None
    report: ValidationReport | None = None
    is_skipped: bool = False
    error: str = ""


@dataclass(frozen=True)
class Kind:
    """Which files of a folder are meant when the folder is named."""

    words: str
    name: re.Pattern[str]


CAPTURES: Final = Kind("captures (*.gz)", re.compile(r".*(?<!\.csv)\.gz"))
TARDIS_CSVS: Final = Kind(
    "Tardis CSVs (trades, incremental_book_L2 or book_ticker in the name, .csv or .csv.gz at its end)",
    re.compile(r".*(trades|incremental_book_L2|book_ticker).*\.csv(\.gz)?"),
)
EVENT_FILES: Final = Kind("event files (*.npz, *.parquet)", re.compile(r".*\.(npz|parquet)"))


def find_inputs(
    patterns: Sequence[str], first: date | None = None, last: date | None = None, kind: Kind = EVENT_FILES
) -> list[str]:
    """The files that the patterns name, within a range of dates (told from the names), by date and name.

    A folder stands for the files of the `kind` in it.

    Raises:
        DataError: a pattern matches nothing, or a date range is given and a name has no date.
    """
    found: set[str] = set()
    for pattern in patterns:
        matches = glob.glob(pattern, recursive=True)
        files = [path for path in matches if os.path.isfile(path)]
        if not files:
            files = [path for folder in matches for path in _files_in(folder, kind)]
        if not files:
            raise DataError(pattern, "there is no such file or folder")
        found.update(files)
    dated = []
    for path in found:
        day = day_of(path)
        if (first or last) and day is None:
            raise DataError(path, "has no date (YYYYMMDD or YYYY-MM-DD) in its name, so a date range cannot be applied")
        if day is None or ((first is None or day >= first) and (last is None or day <= last)):
            dated.append((day or date.min, path))
    if not dated:
        raise DataError(", ".join(patterns), f"no file lies within {first or '…'} to {last or '…'}")
    return [path for _, path in sorted(dated)]


def _files_in(folder: str, kind: Kind) -> list[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(folder, f"cannot be read: {error.strerror}") from None
    files = [entry.path for entry in entries if entry.is_file() and kind.name.fullmatch(entry.name)]
    if files:
        return files
    below = [entry.path for entry in entries if entry.is_dir() and any(map(kind.name.fullmatch, os.listdir(entry)))]
    if below:
        raise DataError(folder, f"is a folder without {kind.words}; these below it have some: {', '.join(below)}")
    raise DataError(folder, f"is a folder without {kind.words}")


def day_of(path: str | Path) -> date | None:
    """The day that a file's name tells, if it tells one."""
    for match in reversed(list(_DATE.finditer(Path(path).name))):
        try:
            return date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            continue
    return None


def jobs_of(source: Source, inputs: Sequence[str], output: str, options: dict[str, Any]) -> list[Job]:
    """One job for an output file; one per symbol and day when the output is a directory (ends with a slash, or is one).

    Raises:
        DataError: the directory cannot be made, or the file's name has another ending than event files have.
    """
    if not (output.endswith(os.sep) or Path(output).is_dir()):
        _check_ending(output)
        return [Job(source, tuple(inputs), output, options)]
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(output, f"the directory cannot be made: {error.strerror}") from None
    groups: dict[tuple[Path, str], list[str]] = {}
    for path in inputs:
        groups.setdefault((Path(path).parent, _group_name(source, path)), []).append(path)
    names = Counter(name for _, name in groups)
    return [
        # Two folders with the same file name are two venues: the folder's name tells them apart.
        Job(source, tuple(paths), str(Path(output) / f"{f'{folder.name}_' if names[name] > 1 else ''}{name}.npz"), options)
        for (folder, name), paths in groups.items()
    ]


def _group_name(source: Source, path: str) -> str:
    name = Path(path).name
    for suffix in (".gz", ".csv"):
        name = name.removesuffix(suffix)
    if source == "tardis":  # exchange_type_date_symbol: the types of one day belong together.
        name = re.sub(r"_(trades|incremental_book_L2|book_ticker)_", "_", name)
    return name


def run_job(job: Job, is_forced: bool = False, is_validated: bool = False) -> Result:
    """Converts; a mistake in the data becomes the result's `error`."""
    if not is_forced and Path(job.output).exists():
        return Result(job.output, is_skipped=True)
    try:
        if job.is_streamed:
            statistics = _stream(job)
            report = validate_events(load_events(job.output), job.output) if is_validated else None
        else:
            events, statistics = _convert(job)
            save_events(job.output, events)
            report = validate_events(events, job.output) if is_validated else None
    except TradeError as error:
        return Result(job.output, error=str(error))
    return Result(job.output, statistics, report)


def _convert(job: Job) -> tuple[EventArray, ConversionStatistics]:
    if job.source == "tardis":
        return convert_tardis(job.inputs, **job.options)
    return convert_collector(job.inputs, **job.options)


def _stream(job: Job) -> ConversionStatistics:
    if job.source == "collector":
        return stream_collector(job.inputs, job.output, **job.options)
    without_steps = {name: value for name, value in job.options.items() if name not in ("tick_size", "lot_size")}
    return stream_tardis(job.inputs, job.output, **without_steps)


def save_events(path: str, events: EventArray) -> None:
    """Writes npz or Parquet, as the name says.

    Raises:
        DataError: another ending, or the file cannot be written.
    """
    _check_ending(path)
    (save_npz if path.endswith(".npz") else save_parquet)(path, events)


def _check_ending(path: str) -> None:
    """Before anything is converted."""
    if not path.endswith((".npz", ".parquet")):
        raise DataError(path, "an event file ends with .npz or .parquet; a directory for several files with a slash")


def load_events(path: str) -> EventArray:
    """Reads npz or Parquet.

    Raises:
        DataError: it is neither.
    """
    return load_parquet(path) if path.endswith(".parquet") else load_npz(path)


def run_all(
    work: Callable[..., T],
    items: Sequence[Any],
    scheduler: str | None = None,
    workers: int | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[T]:
    """Runs `work(item)` for every item, on all cores of this host or on the cluster of a Dask scheduler; results as they come.

    Args:
        on_bytes: told now and then how many more bytes of the inputs were read (as they lie on the disk; not by a cluster).

    Raises:
        DataError: Dask is not installed or the scheduler does not answer.
    """
    if scheduler is not None:
        yield from _run_on_cluster(work, items, scheduler)
        return
    if len(items) == 1:
        tell_bytes_to(on_bytes)
        try:
            yield work(items[0])
        finally:
            tell_bytes_to(None)
        return
    read = multiprocessing.Value("q", 0)
    with ProcessPoolExecutor(workers or os.cpu_count() or 1, initializer=_count_bytes_in, initargs=(read,)) as pool:
        waiting, told = {pool.submit(work, item) for item in items}, 0
        while waiting:
            done, waiting = wait(waiting, PROGRESS_S, FIRST_COMPLETED)
            if on_bytes is not None:
                on_bytes(read.value - told)
                told = read.value
            for future in done:
                yield future.result()


def _count_bytes_in(read: Any) -> None:
    def count(size: int) -> None:
        with read.get_lock():
            read.value += size

    tell_bytes_to(count)


def _run_on_cluster(work: Callable[..., T], items: Sequence[Any], scheduler: str) -> Iterator[T]:
    try:
        import distributed as installed
    except ImportError:
        raise DataError(scheduler, "a cluster needs Dask: pip install 'crypto-trade[cluster]'") from None
    distributed: Any = installed
    try:
        client = distributed.Client(scheduler, timeout="10s")
    except (OSError, ValueError) as error:
        raise DataError(scheduler, f"the Dask scheduler does not answer ({error})") from None
    with client:
        for future in distributed.as_completed(client.map(work, items, pure=False)):
            yield future.result()
