"""Event files: what numpy reads is what was written, and nothing half stands under the name."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from reactor.data.events import EVENT_DTYPE
from reactor.data.npz import NpzWriter, load_npz, save_npz
from reactor.domain.errors import DataError


def some_events(count: int) -> np.ndarray:
    events = np.zeros(count, EVENT_DTYPE)
    events["exch_ts"] = np.arange(count)
    events["px"] = np.random.default_rng(1).normal(60000, 10, count)
    return events


@pytest.mark.parametrize("count", [0, 1, 200_000])
def test_numpy_reads_what_was_written(tmp_path: Path, count: int) -> None:
    events = some_events(count)
    save_npz(tmp_path / "a.npz", events)
    with np.load(tmp_path / "a.npz") as archive:
        assert archive.files == ["data"]
        assert archive["data"].dtype == EVENT_DTYPE
        assert archive["data"].tobytes() == events.tobytes()
    assert zipfile.ZipFile(tmp_path / "a.npz").testzip() is None


def test_an_array_may_come_in_parts(tmp_path: Path) -> None:
    events = some_events(1000)
    with NpzWriter(tmp_path / "a.npz", 1000, EVENT_DTYPE) as writer:
        for begin in range(0, 1000, 300):
            writer.write(events[begin : begin + 300])
    assert load_npz(tmp_path / "a.npz").tobytes() == events.tobytes()


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path) -> None:
    def write_and_fail() -> None:
        with NpzWriter(tmp_path / "a.npz", 10, EVENT_DTYPE) as writer:
            writer.write(some_events(5))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_keeps_the_older_file(tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", some_events(3))
    with pytest.raises(AssertionError), NpzWriter(tmp_path / "a.npz", 10, EVENT_DTYPE) as writer:
        writer.write(some_events(5))
    assert len(load_npz(tmp_path / "a.npz")) == 3


def test_the_same_array_gives_the_same_bytes(tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", some_events(100_000))
    save_npz(tmp_path / "b.npz", some_events(100_000))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"not a zip", "is not a readable npz file", id="a text"),
        pytest.param(b"", "is not a readable npz file", id="an empty file"),
    ],
)
def test_what_is_no_event_file_is_refused_with_its_name(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        load_npz(tmp_path / "x.npz")


def test_another_array_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", data=np.arange(3))
    with pytest.raises(DataError, match="not market events"):
        load_npz(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", other=np.arange(3))
    with pytest.raises(DataError, match="no array named 'data'"):
        load_npz(tmp_path / "y.npz")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        save_npz(tmp_path / "nowhere" / "a.npz", some_events(1))


@pytest.mark.long
def test_a_file_beyond_four_gigabytes_is_read_back(tmp_path: Path) -> None:
    piece = np.zeros(1 << 20, EVENT_DTYPE)
    piece["px"] = np.arange(len(piece))
    pieces = 66  # 4.4 GB
    with NpzWriter(tmp_path / "big.npz", pieces * len(piece), EVENT_DTYPE) as writer:
        for _ in range(pieces):
            writer.write(piece)
    with zipfile.ZipFile(tmp_path / "big.npz") as archive:
        assert archive.getinfo("data.npy").file_size > 1 << 32
        assert archive.testzip() is None, "the checksum is right"
    events = load_npz(tmp_path / "big.npz")
    assert len(events) == pieces * len(piece)
    assert events[-1].tobytes() == piece[-1].tobytes()
