"""A real session under a service manager, whose side is a datagram socket here."""

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


def test_the_watchdog_is_fed_while_every_role_lives_and_not_while_one_stands_still(make_house: Callable, tmp_path: Path):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "n"))
    manager.setblocking(False)
    heard: list[str] = []
    fed_s: list[float] = []

    def listen() -> list[str]:
        with suppress(BlockingIOError):
            while True:
                heard.append(manager.recv(4096).decode())
                if "WATCHDOG=1" in heard[-1]:
                    fed_s.append(time.monotonic())
        return heard

    def feeds() -> int:
        return sum("WATCHDOG=1" in each for each in listen())

    house = make_house(environment={"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "600000"})
    house.wait_until_trading()
    house.wait_for(lambda: feeds() >= 3, "the watchdog is fed")
    assert heard[0] == "READY=1"
    collector = house.pids()["collector"]
    os.kill(collector, signal.SIGSTOP)  # It stands still: soon its heartbeat is old, then it is killed and started again.
    still_s = time.monotonic()
    house.wait_for(lambda: listen() and house.said("role gives no sign of life; it is killed"), "the still role is found")
    before, killed_s = feeds(), time.monotonic()
    assert not [each for each in fed_s if still_s + 1.9 < each < killed_s - 0.1], "fed beside a dead house"
    house.wait_for(lambda: feeds() > before, "fed again after the restart")
    assert house.pids().get("collector") != collector
    assert house.end() == 0
    assert any("STOPPING=1" in each for each in listen())
    manager.close()
