"""The feed makes no object that stays, however many frames it takes (collector, prepost, engine: tests/test_rehearsal.py)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench")]

import allocations  # noqa: E402

BLOCKS_MAX = 20  # Of the interpreter itself; never something per frame.


@pytest.mark.parametrize("frames", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_allocated_blocks_do_not_grow_with_the_frames_taken(frames: int) -> None:
    play = allocations.FeedPlay()
    found = allocations.measure(play.play, 20_000, frames)
    assert found["events"] >= frames
    assert found["blocks_grown"] <= BLOCKS_MAX


def test_the_baseline_does_grow() -> None:
    assert allocations.baseline(100)["blocks_grown"] > 500


@pytest.mark.long
def test_every_room_of_the_hot_path_is_measured() -> None:
    command = [sys.executable, str(ROOT / "bench/allocations.py"), "--events", "100", "--json"]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["rows"]
    assert [name.split(",")[0] for name in rows][:4] == ["feed", "collector", "prepost", "engine"]
