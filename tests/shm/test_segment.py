"""Shared memory of one process, and what is left of it. Deaths of real processes: test_processes.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shm import segment
from shm._native import ffi
from shm.segment import HeapSegment, Memory, SegmentError, blocked_folder, next_epoch
from shm.topic import TopicPublisher


def test_heap_memory_is_zeroed_and_begins_on_a_cache_line() -> None:
    memory = HeapSegment(200)
    assert memory.address % 64 == 0
    assert bytes(ffi.buffer(memory.pointer("uint8_t *"), 200)) == bytes(200)


def test_a_later_epoch_is_greater() -> None:
    epochs = [next_epoch() for _ in range(100)]
    assert epochs == sorted(set(epochs))


def test_what_the_owner_writes_after_announcing_is_seen_by_a_follower(memory: Memory, instance: str) -> None:
    with Memory(instance, "watcher") as other:
        own = memory.segment("state", 1000)
        follower = other.follow("state")
        assert follower.newest() is None
        own.announce()
        found = follower.newest()
        assert found is not None
        assert follower.newest() is found, "the same object until there is a newer one"
        assert found.address % 64 == own.address % 64 == 0
        assert found.size == 1000
        ffi.cast("uint64_t *", own.address)[3] = 77
        assert found.pointer("uint64_t *")[3] == 77


def test_a_late_follower_needs_a_refresh(memory: Memory, instance: str) -> None:
    own = memory.segment("state", 64)
    own.announce()
    with Memory(instance, "watcher") as other:
        follower = other.follow("state")
        assert follower.newest() is None
        own.refresh()
        assert follower.newest() is not None


def test_a_name_has_one_living_owner(memory: Memory, instance: str) -> None:
    memory.segment("state", 64).announce()
    with Memory(instance, "second") as other, pytest.raises(SegmentError, match="another living process owns it"):
        other.segment("state", 64)


def test_a_follower_keeps_the_old_owners_memory_and_finds_the_new_owner(memory: Memory, instance: str) -> None:
    with Memory(instance, "watcher") as other:
        follower = other.follow("state")
        first = memory.segment("state", 64)
        first.announce()
        ffi.cast("uint64_t *", first.address)[0] = 1
        old = follower.newest()
        first.close()
        second = memory.segment("state", 64)
        second.announce()
        new = follower.newest()
        assert old is not None
        assert new is not None
        assert new.epoch > old.epoch
        assert (old.pointer("uint64_t *")[0], new.pointer("uint64_t *")[0]) == (1, 0)


def test_instances_do_not_meet(memory: Memory, instance: str) -> None:
    memory.segment("state", 64).announce()
    with Memory(f"{instance}_other", "watcher") as other:
        assert other.follow("state").newest() is None
        other.segment("state", 64).announce()
        assert other.names_in_use() == ["state"]


def test_an_orderly_close_leaves_no_name_behind(instance: str) -> None:
    with Memory(instance, "tester") as memory:
        memory.segment("state", 64).announce()
        assert memory.follow("other").newest() is None
        assert memory.names_in_use() == ["other", "state"]
    with Memory(instance, "next") as memory:
        assert memory.names_in_use() == []


def test_memory_of_a_megabyte_takes_about_that_much_and_not_the_virtual_size(memory: Memory) -> None:
    before = {path: path.stat().st_blocks for path in Path("/dev/shm").iterdir()}
    memory.segment("large", 1 << 20).announce()
    grown = [path for path in Path("/dev/shm").iterdir() if path.stat().st_blocks > before.get(path, 0) + 1024]
    assert all(path.stat().st_blocks * 512 < 1_300_000 for path in grown)


def test_memory_that_cannot_be_locked_is_a_warning_with_a_remedy(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def mlock(self, *_: object) -> int:
            return -1

        def madvise(self, *_: object) -> int:
            return 0

    monkeypatch.setattr(segment, "_libc", Refusing())
    own = memory.segment("state", 64)
    own.announce()
    assert len(memory.warnings) == 1
    assert "ulimit -l" in memory.warnings[0]
    assert memory.locked_bytes == 0


def test_a_folder_that_may_not_be_written_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nodes").mkdir()
    assert blocked_folder(str(tmp_path)) == ""
    monkeypatch.setattr("os.access", lambda path, _mode: not str(path).endswith("nodes"))
    sentence = blocked_folder(str(tmp_path))
    assert f"no permission to write {tmp_path}/nodes" in sentence
    assert "sudo rm -r" in sentence


@pytest.mark.processes
def test_many_processes_may_start_at_the_same_instant(instance: str) -> None:
    program = (
        "import sys, time\n"
        "from shm.segment import Memory\n"
        "import iceoryx2, logging\n"
        "sys.stdin.readline()\n"
        f"with Memory({instance!r}, sys.argv[1]) as memory:\n"
        "    memory.segment(sys.argv[1], 64).announce()\n"
        "    print('up', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, f"role{i}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for i in range(8)
    ]
    for _ in range(2):  # Start together, leave together.
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
    answers = [process.communicate(timeout=30)[0] for process in processes]
    assert answers == ["up\n"] * 8
    assert [process.returncode for process in processes] == [0] * 8


def test_a_service_that_nobody_finished_does_not_stand_in_the_way(instance: str) -> None:
    with Memory(instance, "first") as memory:
        folder = Path(memory._root(), "services")
        before = set(folder.iterdir())
        topic = TopicPublisher(memory, "signals")
        files = set(folder.iterdir()) - before
        kept = {file.name: file.read_bytes() for file in files}
        topic.close()
    for name, text in kept.items():  # As a process leaves them that is killed before it makes them read-only.
        unfinished = folder / name
        unfinished.unlink(missing_ok=True)
        unfinished.write_bytes(text)
        unfinished.chmod(0o600)
    with Memory(instance, "second") as memory:
        memory.remove_stale_resources()
        assert all((folder / name).exists() for name in kept), "somebody may be at it still"
        for name in kept:
            os.utime(folder / name, (0, 0))
        memory.remove_stale_resources()
        assert not any((folder / name).exists() for name in kept)
        TopicPublisher(memory, "signals").close()
