"""The units, judged by systemd itself, and against what the code promises."""

import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from reactor.loop.shard import ORPHAN_TIME_MAX_NS

UNITS = Path(__file__).resolve().parents[2] / "deploy/systemd"
PROGRAMS = ("/opt/crypto-trade/venv/bin/crypto-trade", "/opt/crypto-trade/deploy/host/tune.py")


class Unit(RawConfigParser):
    """Names keep their case; the same one may come twice."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, interpolation=None)
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read(UNITS / name)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt install systemd")
@pytest.mark.parametrize("name", sorted(path.name for path in UNITS.glob("*.service")))
def test_systemd_finds_nothing_to_complain_about(name, tmp_path):
    text = (UNITS / name).read_text()
    for program in PROGRAMS:
        text = text.replace(program, "/bin/true")  # Installed only where it runs.
    unit = tmp_path / name
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""


def test_orphans_have_time_to_cancel_before_the_next_supervisor_starts():
    service = Unit("crypto-trade@.service")["Service"]
    assert service["KillMode"] == "process"  # Whoever kills the children with the supervisor leaves orders open.
    assert int(service["RestartSec"]) > ORPHAN_TIME_MAX_NS / 1e9


def test_an_ordered_stop_has_time_to_flatten_and_the_watchdog_bears_a_restarted_role():
    service = Unit("crypto-trade@.service")["Service"]
    assert int(service["TimeoutStopSec"]) >= 2 * 20
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 20
    assert service["Restart"] == "on-abnormal"  # An exit code is a decision that a person looks at.
