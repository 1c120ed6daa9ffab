"""What systemd is told, heard on a real datagram socket."""

import socket

import pytest

from reactor.supervisor.notify import FRESH_NS, Notifier, are_fresh


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    made = Manager(str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path.name}-notify")
    yield made
    made.socket.close()


def test_a_session_says_that_it_is_ready_alive_and_stopping(manager):
    notifier = Notifier(manager.address, watchdog_s=30.0)
    notifier.ready()
    notifier.alive(100.0, "running")
    notifier.stopping("stopping")
    assert manager.heard() == ["READY=1", "STATUS=running\nWATCHDOG=1", "STOPPING=1\nSTATUS=stopping"]


def test_the_watchdog_is_fed_three_times_per_period_however_often_it_is_asked(manager):
    notifier = Notifier(manager.address, watchdog_s=30.0)
    for tenths in range(600):
        notifier.alive(tenths / 10, "running")
    heard = manager.heard()
    assert len(heard) == 6
    assert all("WATCHDOG=1" in each for each in heard)


def test_a_new_status_is_told_at_once_and_an_old_one_is_not_repeated(manager):
    notifier = Notifier(manager.address)
    for status in ("running", "running", "reduce only", "running"):
        notifier.alive(1.0, status)
    assert manager.heard() == ["STATUS=running", "STATUS=reduce only", "STATUS=running"]


def test_the_environment_says_who_is_listening_and_who_is_watched(manager):
    environment = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}
    Notifier.from_environment(environment, 7).alive(1.0, "")
    Notifier.from_environment(environment, 8).alive(1.0, "")  # Somebody else is watched.
    assert manager.heard() == ["STATUS=\nWATCHDOG=1"]


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(tmp_path):
    for notifier in (Notifier(), Notifier(str(tmp_path / "nobody"), 1.0)):
        notifier.ready()
        notifier.alive(1.0, "running")
        notifier.stopping("stopping")
        notifier.close()
        notifier.alive(9.0, "late")


@pytest.mark.parametrize(
    ("ages_ns", "expected"),
    [((0, FRESH_NS), True), ((0, FRESH_NS + 1), False), ((5_000_000_000,), False), ((), True)],
    ids=["all fresh", "one too old", "never seen", "nobody to wait for"],
)
def test_the_house_is_alive_only_while_every_heartbeat_is_fresh(ages_ns, expected):
    now_ns = 5_000_000_000
    assert are_fresh([now_ns - age for age in ages_ns], now_ns) is expected
