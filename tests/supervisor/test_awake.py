"""A session asks the kernel for cores that do not sleep."""

import struct
from pathlib import Path

from reactor.supervisor.awake import cores_awake


def test_no_latency_is_asked_for_and_the_file_stays_open_as_long_as_the_session(tmp_path: Path) -> None:
    file = tmp_path / "cpu_dma_latency"
    file.touch()
    with cores_awake(True, file) as how:
        assert how == "cores are kept awake"
        assert struct.unpack("=i", file.read_bytes()) == (0,)
        held = [each for each in Path("/proc/self/fd").iterdir() if each.exists() and each.resolve() == file]
        assert len(held) == 1
    assert not [each for each in Path("/proc/self/fd").iterdir() if each.exists() and each.resolve() == file]


def test_who_does_not_want_it_touches_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cpu_dma_latency"
    file.touch()
    with cores_awake(False, file) as how:
        assert "keep_awake is off" in how
    assert not file.read_bytes()


def test_a_refusal_is_a_sentence_and_no_reason_to_stop(tmp_path: Path) -> None:
    with cores_awake(True, tmp_path / "missing" / "cpu_dma_latency") as how:
        assert "No such file" in how
