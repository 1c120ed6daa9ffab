"""What a child said when it died is one sentence; what its predecessors said is not told again."""

import time
from pathlib import Path

from reactor.supervisor.processes import Processes


def run_to_its_end(processes: Processes, code: str) -> None:
    processes.spawn("role", ["-c", code])
    deadline = time.monotonic() + 30
    while not processes.reap():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_last_words_of_a_traceback_are_the_exception(tmp_path: Path):
    processes = Processes(tmp_path)
    run_to_its_end(processes, "import sys; print('first', file=sys.stderr); raise ValueError('the reason')")
    assert processes.last_words("role") == "ValueError: the reason"
    assert "Traceback" in processes.said("role")


def test_a_successor_does_not_repeat_its_predecessor(tmp_path: Path):
    processes = Processes(tmp_path)
    run_to_its_end(processes, "import sys; print('old', file=sys.stderr)")
    run_to_its_end(processes, "pass")
    assert processes.last_words("role") == ""
    run_to_its_end(processes, "import sys; print('new', file=sys.stderr)")
    assert processes.said("role") == "new\n"
