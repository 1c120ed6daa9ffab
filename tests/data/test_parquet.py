"""Parquet keeps every bit."""

from pathlib import Path

import numpy as np
import pytest

from reactor.data.batch import Job, load_events, run_job
from reactor.data.convert.sample import generate_sample
from reactor.data.events import EVENT_DTYPE
from reactor.data.parquet import load_parquet, save_parquet
from reactor.domain.errors import DataError

pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")


def test_what_was_written_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    events = np.frombuffer(random.bytes(1000 * EVENT_DTYPE.itemsize), EVENT_DTYPE).copy()
    events["px"][:4] = [np.nan, np.inf, -0.0, 5e-324]
    save_parquet(tmp_path / "day.parquet", events)
    assert load_parquet(tmp_path / "day.parquet").tobytes() == events.tobytes()


def test_a_conversion_to_parquet_holds_what_one_to_npz_holds(tmp_path: Path) -> None:
    paths = tuple(str(path) for path in generate_sample(tmp_path, 4000) if "book_ticker" not in path.name)
    outputs = [str(tmp_path / f"day.{kind}") for kind in ("npz", "parquet")]
    assert [run_job(Job("tardis", paths, output)).error for output in outputs] == ["", ""]
    one, other = (load_events(output) for output in outputs)
    assert one.tobytes() == other.tobytes()


def test_what_is_no_parquet_file_is_one_sentence_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        load_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="cannot be written"):
        save_parquet(tmp_path / "nowhere" / "x.parquet", np.zeros(1, EVENT_DTYPE))
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]
