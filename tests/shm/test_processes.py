"""Real processes over iceoryx2 memory, killed at random moments: nothing is lost, nothing comes again after its release."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shm.segment import Memory
from shm.wake import Bell

PLAYERS = Path(__file__).with_name("players.py")
DEADLINE_S = 20
LANES = (0, 1)

pytestmark = pytest.mark.processes


class Stage:
    """Starts, kills and restarts the two players of one link; their diaries are in `folder`."""

    def __init__(self, instance: str, folder: Path) -> None:
        self.instance, self.folder = instance, folder
        self.bell = Bell.make()
        self.players: dict[str, subprocess.Popen[bytes]] = {}
        self.diaries: dict[str, list[Path]] = {"producer": [], "consumer": []}

    def start(self, role: str, *rest: str) -> None:
        diary = self.folder / f"{role}_{len(self.diaries[role])}"
        self.diaries[role].append(diary)
        self.players[role] = subprocess.Popen(
            [sys.executable, str(PLAYERS), role, self.instance, str(self.bell.fd), str(diary), *rest], pass_fds=[self.bell.fd]
        )

    def kill(self, role: str) -> None:
        self.players[role].kill()
        self.players[role].wait()

    def leave(self, role: str) -> int:
        self.players[role].send_signal(signal.SIGTERM)
        return self.players[role].wait(DEADLINE_S)

    def lines(self, role: str, which: int = -1) -> list[list[str]]:
        diary = self.diaries[role][which]
        text = diary.read_text() if diary.exists() else ""
        return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_S} s"
            time.sleep(0.01)

    def close(self) -> None:
        for player in self.players.values():
            with suppress(ProcessLookupError):
                player.kill()
            player.wait()
        self.bell.close()


@pytest.fixture
def stage(instance: str, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(instance, tmp_path)
    yield stage
    stage.close()


def last(lines: list[list[str]], letter: str, lane: int) -> int:
    """The greatest sequence that the diary tells for a letter and lane; 0: none."""
    return max((int(line[2]) for line in lines if line[0] == letter and int(line[1]) == lane), default=0)


def check_reading(stage: Stage) -> None:
    """All consumer diaries together: no gap, nothing torn, and nothing that had been released comes again."""
    assert not [line for i in range(len(stage.diaries["consumer"])) for line in stage.lines("consumer", i) if line[0] == "torn"]
    for lane in LANES:
        seen = released = 0
        for life in range(len(stage.diaries["consumer"])):
            seen_of_life = 0
            for letter, *numbers in stage.lines("consumer", life):
                if letter not in ("s", "r") or int(numbers[0]) != lane:
                    continue
                sequence = int(numbers[1])
                if letter == "r":
                    released = max(released, sequence)
                    continue
                if seen_of_life == 0:
                    assert released < sequence <= seen + 1, (
                        f"lane {lane}, life {life}: starts at {sequence} after {seen}/{released}"
                    )
                else:
                    assert sequence == seen_of_life + 1, f"lane {lane}, life {life}: {sequence} after {seen_of_life}"
                seen_of_life = sequence
                seen = max(seen, sequence)


def committed(stage: Stage, lane: int) -> int:
    return max(last(stage.lines("producer", i), "c", lane) for i in range(len(stage.diaries["producer"])))


def seen(stage: Stage, lane: int) -> int:
    return max(last(stage.lines("consumer", i), "s", lane) for i in range(len(stage.diaries["consumer"])))


def are_joined(stage: Stage) -> bool:
    """Today's consumer has read something of today's producer on both lanes. Before that, a death is the second at once."""
    for lane in LANES:
        first = min((int(line[2]) for line in stage.lines("producer") if line[0] == "c" and int(line[1]) == lane), default=0)
        if first == 0 or last(stage.lines("consumer"), "s", lane) < first:
            return False
    return True


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_of_either_side_at_random_moments_loses_nothing_and_repeats_only_what_was_not_released(
    stage: Stage, seed: int
) -> None:
    moments = random.Random(seed)
    stage.start("consumer")
    stage.start("producer")
    for _ in range(8):
        stage.wait_until(lambda: are_joined(stage), "both sides working together")
        time.sleep(moments.random() * 0.05)  # The random moment is the subject of this test.
        victim = moments.choice(["producer", "consumer"])
        stage.kill(victim)
        time.sleep(moments.random() * 0.05)
        stage.start(victim)
    stage.wait_until(lambda: are_joined(stage), "both sides working together after the last death")
    assert stage.leave("producer") == 0
    stage.wait_until(lambda: all(seen(stage, lane) >= committed(stage, lane) for lane in LANES), "reading everything committed")
    assert stage.leave("consumer") == 0
    check_reading(stage)


def test_a_successor_is_told_what_its_predecessor_had_seen(stage: Stage) -> None:
    stage.start("consumer")
    stage.start("producer", "500")
    stage.wait_until(lambda: seen(stage, 0) > 100, "progress")
    stage.kill("consumer")
    lines = stage.lines("consumer")
    stage.start("consumer")
    stage.wait_until(lambda: len(stage.lines("consumer")) >= 3, "the successor's meeting")
    stage.wait_until(lambda: all(seen(stage, lane) == 500 for lane in LANES), "reading everything")
    for lane in LANES:
        _, _, released, peeked, published = next(
            line for line in stage.lines("consumer") if line[0] == "a" and int(line[1]) == lane
        )
        assert int(released) >= last(lines, "r", lane), "a release that was told had happened"
        assert int(peeked) >= last(lines, "s", lane), "what was used counts as peeked"
        assert int(released) <= int(peeked) <= int(published) <= int(released) + 64
    check_reading(stage)


def test_after_kill_9_of_both_sides_the_next_start_is_fresh_and_leaves_nothing_behind(stage: Stage, instance: str) -> None:
    for _ in range(2):
        stage.start("consumer")
        stage.start("producer")
        stage.wait_until(lambda: last(stage.lines("consumer"), "s", 0) > 10, "progress")
        assert [line[2:] for line in stage.lines("consumer") if line[0] == "a"] == [["0", "0", "0"]] * 2
        stage.kill("consumer")
        stage.kill("producer")
    with Memory(instance, "next"):
        pass
    with Memory(instance, "next") as memory:
        memory.remove_stale_resources()
        assert memory.names_in_use() == []


def test_an_orderly_end_leaves_nothing_behind(stage: Stage, instance: str) -> None:
    stage.start("consumer")
    stage.start("producer")
    stage.wait_until(lambda: last(stage.lines("consumer"), "s", 0) > 10, "progress")
    assert stage.leave("producer") == 0
    assert stage.leave("consumer") == 0
    with Memory(instance, "next") as memory:
        assert memory.names_in_use() == []


def test_two_instances_side_by_side_do_not_meet(instance: str, tmp_path: Path) -> None:
    stages = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        stages.append(Stage(f"{instance}_{name}", folder))
    try:
        for stage in stages:
            stage.start("consumer")
            stage.start("producer", "300")
        one, other = stages
        one.wait_until(lambda: seen(one, 0) > 0, "progress")
        one.kill("producer")
        one.kill("consumer")
        other.wait_until(lambda: all(seen(other, lane) == 300 for lane in LANES), "the other one's end")
        with Memory(one.instance, "next") as memory:  # Cleans up after the dead, and not after the living.
            memory.remove_stale_resources()
            assert memory.names_in_use() == []
        other.kill("consumer")
        other.start("consumer")
        other.wait_until(lambda: any(line[0] == "a" for line in other.lines("consumer")), "the other one's successor")
        check_reading(other)
    finally:
        for stage in stages:
            stage.close()


def test_a_second_living_producer_of_a_link_is_refused(stage: Stage) -> None:
    stage.start("consumer")
    stage.start("producer")
    stage.wait_until(lambda: last(stage.lines("consumer"), "s", 0) > 0, "progress")
    second = subprocess.run(
        [sys.executable, str(PLAYERS), "producer", stage.instance, str(stage.bell.fd), os.devnull],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        pass_fds=[stage.bell.fd],
    )
    assert second.returncode != 0
    assert "another living process owns it" in second.stderr


def test_without_permission_there_is_one_sentence_with_cause_and_remedy(stage: Stage) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    program = (
        "import os, iceoryx2, logging\n"
        "from shm.segment import Memory, SegmentError\n"
        "mine = Memory('permission_test', 'owner')\n"
        "if os.fork() == 0:\n"
        "    os.setgid(65534); os.setuid(65534)\n"
        "    try:\n"
        "        Memory('permission_test', 'tester')\n"
        "    except SegmentError as error:\n"
        "        print(error, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "mine.close()\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_S)
    assert "no permission to write /tmp/iceoryx2" in run.stdout, run.stderr
    assert "sudo rm -r" in run.stdout
