"""Many files: the same results on this process, on every core, and on a Dask cluster of separate processes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from reactor.data import batch
from reactor.data.convert.sample import generate_sample
from reactor.domain.errors import DataError

CLUSTER = """
import json, sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, port=0) as cluster:
        print(json.dumps([cluster.scheduler_address]), flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Three small days, each of trades and book."""
    root = tmp_path_factory.mktemp("days")
    found = []
    for day in range(3):
        paths = generate_sample(root / str(day), 6000, seed=day)
        found.append([str(path) for path in paths if "book_ticker" not in path.name])
    return found


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    process = subprocess.Popen([sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())[0]
    process.communicate("", timeout=60)


def jobs(days: list[list[str]], directory: Path) -> list[batch.Job]:
    directory.mkdir()
    return [batch.Job("tardis", tuple(paths), str(directory / f"{number}.npz")) for number, paths in enumerate(days)]


def results(days: list[list[str]], directory: Path, **where: object) -> dict[str, tuple[object, bytes]]:
    """By file name: what was said and what was written."""
    work = partial(batch.run_job, is_validated=True)
    done = list(batch.run_all(work, jobs(days, directory), **where))
    assert not [result.error for result in done if result.error]
    return {
        Path(result.output).name: (
            (result.statistics.events, result.report.kinds, result.report.problems),
            Path(result.output).read_bytes(),
        )
        for result in done
    }


def test_every_core_gives_what_one_process_gives(tmp_path: Path, days: list[list[str]]) -> None:
    one = {name: word for day in range(3) for name, word in results(days[day : day + 1], tmp_path / f"one{day}").items()}
    assert list(one) == ["0.npz"], "each alone"
    many = results(days, tmp_path / "many")
    assert sorted(many) == ["0.npz", "1.npz", "2.npz"]
    assert many["2.npz"] == one["0.npz"], "the last of the three days"


@pytest.mark.parametrize("count", [1, 3], ids=["in this process", "in others"])
def test_every_byte_of_the_inputs_is_told_while_they_are_read(tmp_path: Path, days: list[list[str]], count: int) -> None:
    told: list[int] = []
    done = list(batch.run_all(batch.run_job, jobs(days[:count], tmp_path / "events"), on_bytes=told.append))
    assert not any(result.error for result in done)
    assert sum(told) == sum(Path(path).stat().st_size for day in days[:count] for path in day)


def test_a_cluster_gives_what_this_host_gives(tmp_path: Path, days: list[list[str]], scheduler: str) -> None:
    assert results(days, tmp_path / "cluster", scheduler=scheduler) == results(days, tmp_path / "host")


@pytest.mark.processes
def test_the_same_command_runs_on_a_cluster(tmp_path: Path, days: list[list[str]], scheduler: str) -> None:
    for place, options in (("host", []), ("cluster", ["--scheduler", scheduler])):
        command = [sys.executable, "-m", "reactor", "convert", "tardis", *(path for paths in days for path in paths)]
        done = subprocess.run([*command, "-o", f"{tmp_path / place}/", *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        files = [str(path) for path in sorted((tmp_path / place).iterdir())]
        check = subprocess.run(
            [sys.executable, "-m", "reactor", "validate", *files, *options], capture_output=True, text=True, check=False
        )
        assert check.returncode == 0, check.stdout + check.stderr
    host, cluster = ({path.name: path.read_bytes() for path in (tmp_path / place).iterdir()} for place in ("host", "cluster"))
    assert host == cluster
    assert len(host) == 3


def test_an_ending_that_no_event_file_has_is_refused_before_anything_is_read() -> None:
    with pytest.raises(DataError, match=r"ends with \.npz or \.parquet"):
        batch.jobs_of("tardis", ["there is no such file.csv"], "out.txt", {})


def test_a_scheduler_that_does_not_answer_is_one_sentence() -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    with pytest.raises(DataError, match="the Dask scheduler does not answer"):
        list(batch.run_all(len, ["a"], "tcp://127.0.0.1:9"))
