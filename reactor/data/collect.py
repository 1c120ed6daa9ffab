"""One command end to end: record for a while (or take captures that are there), convert, validate, one verdict.

venue │ simulated exchange ─▶ captures ─▶ OUT/events/*.npz ─▶ what a backtest would stumble over ─▶ SOUND │ NOT SOUND
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from reactor.data import batch
from reactor.data.recorder import RecorderReport
from reactor.domain.errors import ConfigError

EVENTS_FOLDER = "events"


@dataclass
class Verdict:
    """What came out. `problems` are reasons not to use the files, `remarks` what one should know."""

    results: list[batch.Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """A backtest may use all of it."""
        return not self.problems

    @property
    def events(self) -> int:
        """In all files."""
        return sum(result.report.events for result in self.results if result.report is not None)


@contextmanager
def simulated_exchange(settings: dict[str, Any]) -> Iterator[int]:
    """A simulated exchange in a process of its own, on free ports; gives the Spot port (USD-M is the next one).

    Raises:
        ConfigError: it did not start; its own words follow.
    """
    read_fd, write_fd = os.pipe()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, tempfile.TemporaryFile("w+") as words:
        json.dump(settings, file)
        file.flush()
        command = [sys.executable, "-m", "reactor.sim", file.name, str(write_fd)]
        process = subprocess.Popen(command, pass_fds=[write_fd], stderr=words)
        os.close(write_fd)
        try:
            with os.fdopen(read_fd) as pipe:
                line = pipe.readline()
            if not line:
                process.wait()
                words.seek(0)
                raise ConfigError(f"the simulated exchange did not start: {words.read().strip()}")
            yield int(line.split()[0])
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def judge(captures: Sequence[str], directory: Path, recording: RecorderReport | None, options: dict[str, Any]) -> Verdict:
    """Converts every capture into `directory`/events and validates it.

    `recording` is what the recorder said, if it was ours: a crossed book is no surprise where it reported a gap.

    Raises:
        DataError: the folder cannot be written.
    """
    verdict = Verdict()
    if recording is not None:
        if recording.alarm:
            verdict.problems.append(recording.alarm)
        verdict.problems += [f"{symbol}: the venue refuses its book" for symbol in recording.unknown_symbols]
        silent = [symbol for symbol, statistics in recording.symbols.items() if not statistics.lines]
        verdict.problems += [f"{symbol}: nothing was recorded" for symbol in silent]
        if recording.gaps:
            verdict.remarks.append(f"{len(recording.gaps)} gaps while recording; gaps.jsonl names them")
    jobs = batch.jobs_of("collector", list(captures), str(directory / EVENTS_FOLDER) + os.sep, options)
    work = partial(batch.run_job, is_forced=True, is_validated=True)
    for result in batch.run_all(work, jobs):
        verdict.results.append(result)
        _judge_one(verdict, result, recording)
    return verdict


def _judge_one(verdict: Verdict, result: batch.Result, recording: RecorderReport | None) -> None:
    name = Path(result.output).name
    if result.error:
        verdict.problems.append(result.error)
        return
    report, statistics = result.report, result.statistics
    assert report is not None, "the job validated"
    assert statistics is not None, "the job converted"
    verdict.problems += [f"{name}: {problem}" for problem in report.problems]
    has_gaps = statistics.gaps > 0 if recording is None else any(gap.symbol == statistics.symbol for gap in recording.gaps)
    if report.crossed_messages and not has_gaps and report.is_sound:
        verdict.problems.append(f"{name}: the book is crossed after {report.crossed_messages} messages, and no gap explains it")
    verdict.remarks += [f"{name}: {remark}" for remark in report.remarks]
    verdict.remarks += [f"{name}: damaged: {damage}" for damage in statistics.damages]
