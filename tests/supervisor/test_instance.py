"""A name belongs to one supervisor; what a killed one left behind is found."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from reactor.domain.errors import ConfigError
from reactor.supervisor.instance import Instance, instances, run_root, wait_for_end


@pytest.fixture(autouse=True)
def own_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_a_second_supervisor_of_the_same_name_is_refused_with_the_remedy():
    first = Instance("alpha")
    first.acquire()
    with pytest.raises(ConfigError, match=r"is running already \(pid \d+\).*--instance NAME"):
        Instance("alpha").acquire()
    Instance("beta").acquire()
    first.release()
    Instance("alpha").acquire()


def test_the_run_directory_is_private():
    instance = Instance("alpha")
    instance.acquire()
    assert run_root().stat().st_mode & 0o077 == 0
    assert instance.directory.stat().st_mode & 0o077 == 0


def test_the_exit_code_is_left_for_who_waits():
    instance = Instance("alpha")
    instance.acquire()
    assert wait_for_end("alpha", 0.0) is None
    instance.leave_code(3)
    instance.release()
    assert wait_for_end("alpha", 0.0) == 3


def test_what_roles_said_stays_and_the_rest_goes():
    instance = Instance("alpha")
    instance.acquire()
    (instance.directory / "control").write_text("")
    (instance.directory / "feed-0.err").write_text("I died of this")
    (instance.directory / "engine.err").write_text("")
    assert instances() == ["alpha"]
    instance.release()
    assert sorted(path.name for path in instance.directory.iterdir()) == ["feed-0.err", "lock"]
    assert instances() == []


def test_leftover_processes_of_a_killed_predecessor_are_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reactor.supervisor.instance.LEFTOVER_TIME_S", 0.05)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    instance = Instance("alpha")
    instance.acquire()
    rows = [("feed-0", process.pid, psutil.Process(process.pid).create_time()), ("engine", process.pid, 1.0)]
    (instance.directory / "pids").write_text(json.dumps(rows))
    assert instance.end_leftovers() == [f"feed-0 (pid {process.pid}) killed"]
    assert process.poll() is not None
