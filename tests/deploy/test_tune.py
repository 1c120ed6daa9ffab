"""The host's preparation on a tree of files: what it would change, what it changes, and that undoing leaves no trace."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("tune", ROOT / "deploy/host/tune.py")
assert spec is not None
assert spec.loader is not None
tune = importlib.util.module_from_spec(spec)
sys.modules["tune"] = tune
spec.loader.exec_module(tune)

FILES = {
    "sys/devices/system/cpu/online": "0-5\n",
    **{f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor": "powersave\n" for core in range(6)},
    **{
        f"sys/devices/system/cpu/cpu{core}/cpuidle/state{state}/{name}": value
        for core in range(6)
        for state, latency in ((0, 0), (1, 2), (2, 133))
        for name, value in (("latency", f"{latency}\n"), ("disable", "0\n"), ("name", f"C{state}\n"))
    },
    "sys/devices/virtual/workqueue/cpumask": "3f\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
    "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm \n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
    "proc/irq/default_smp_affinity": "0000003f\n",
    "proc/irq/24/smp_affinity_list": "0-5\n",
    "proc/irq/25/smp_affinity_list": "3\n",
    "proc/sys/vm/swappiness": "60\n",
    "proc/sys/vm/stat_interval": "1\n",
    "proc/sys/kernel/numa_balancing": "1\n",
    "etc/default/grub": 'GRUB_CMDLINE_LINUX=""\n',
    "etc/fstab": "UUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n",
    "etc/sysctl.d/99-mine.conf": "vm.swappiness = 60\n",
}


@pytest.fixture
def host(tmp_path):
    for path, content in FILES.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return tmp_path


def tree(root):
    return {str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in root.rglob("*")}


def run(host, *arguments):
    return tune.main(["--root", str(host), "--user", "trader", *arguments])


def test_without_a_word_of_command_it_shows_and_writes_nothing(host, capsys):
    before = tree(host)
    assert run(host, "--cores", "2-5") == 0
    shown = capsys.readouterr().out
    assert "/sys/devices/system/cpu/cpu2/cpufreq/scaling_governor: powersave → performance" in shown
    assert "nothing was changed" in shown
    assert tree(host) == before


def test_applied_checked_and_undone_leaves_the_same_tree_byte_for_byte(host):
    before = tree(host)
    assert run(host, "--cores", "2-5", "--check") == 1
    assert run(host, "--cores", "2-5", "--apply") == 0
    assert run(host, "--cores", "2-5", "--check") == 0
    assert tree(host) != before
    assert run(host, "--undo") == 0
    assert tree(host) == before


def test_what_it_changes_is_what_a_hot_core_needs(host):
    run(host, "--cores", "2-5", "--apply")

    def read(path):
        return (host / path).read_text()

    assert read("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor") == "performance"
    assert read("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor") == "powersave\n"
    assert read("sys/devices/system/cpu/cpu5/cpuidle/state2/disable") == "1"
    assert read("sys/devices/system/cpu/cpu5/cpuidle/state1/disable") == "0\n"
    assert read("sys/kernel/mm/transparent_hugepage/enabled") == "always [madvise] never\n"
    assert read("sys/devices/system/clocksource/clocksource0/current_clocksource") == "tsc"
    assert read("proc/irq/24/smp_affinity_list") == "0-1"
    assert read("proc/irq/default_smp_affinity") == "3"
    assert "isolcpus=managed_irq,domain,2-5 nohz_full=2-5 rcu_nocbs=2-5 irqaffinity=0-1" in read(tune.GRUB)
    assert "trader - memlock unlimited\n" in read(tune.LIMITS)
    assert "trader - rtprio 50\n" in read(tune.LIMITS)
    assert "vm.swappiness = 1\n" in read(tune.SYSCTL)
    assert read("etc/fstab") == "UUID=1 / ext4 defaults 0 1\n# crypto_trade: UUID=2 none swap sw 0 0\n"


def test_applying_twice_remembers_what_was_there_first(host):
    before = tree(host)
    run(host, "--cores", "2-3", "--apply")
    run(host, "--cores", "2-5", "--apply")
    run(host, "--undo")
    assert {path: tree(host)[path] for path in FILES} == {path: before[path] for path in FILES}


def test_live_leaves_the_files_of_the_distribution_alone(host):
    run(host, "--cores", "2-5", "--apply", "--live")
    assert (host / "etc/fstab").read_text() == FILES["etc/fstab"]
    assert not (host / tune.GRUB).exists()
    assert run(host, "--cores", "2-5", "--check", "--live") == 0


def test_what_somebody_changed_since_is_left_unless_forced(host, capsys):
    run(host, "--cores", "2-5", "--apply")
    (host / "proc/sys/vm/swappiness").write_text("10\n")
    assert run(host, "--undo") == 1
    assert "somebody has changed it since" in capsys.readouterr().out
    assert (host / "proc/sys/vm/swappiness").read_text() == "10\n"
    assert run(host, "--undo", "--force") == 0
    assert (host / "proc/sys/vm/swappiness").read_text() == "60\n"
    assert not (host / tune.RECORD).exists()


def test_a_file_that_refuses_is_told_and_does_not_stop_the_others(host, monkeypatch, capsys):
    write = tune.Host.write

    def refusing(self, path, content):
        if path.startswith("proc/irq/25"):
            raise OSError(5, "Input/output error")
        write(self, path, content)

    monkeypatch.setattr(tune.Host, "write", refusing)
    assert run(host, "--cores", "2-5", "--apply") == 1
    assert "refused   /proc/irq/25/smp_affinity_list: Input/output error" in capsys.readouterr().out
    assert (host / "proc/irq/24/smp_affinity_list").read_text() == "0-1"
    assert "proc/irq/25/smp_affinity_list" not in tune.load_record(tune.Host(host))


@pytest.mark.parametrize(
    ("cores", "sentence"),
    [("0-5", "leave at least one core"), ("6", "this host has 0-5"), ("two", "write a list"), ("", "which cores?")],
)
def test_cores_that_do_not_fit_are_refused_with_a_sentence(host, capsys, cores, sentence):
    before = tree(host)
    assert run(host, "--cores", cores, "--apply") == 2
    assert sentence in capsys.readouterr().err
    assert tree(host) == before


def test_there_is_nothing_to_undo_on_an_untouched_host(host, capsys):
    assert run(host, "--undo") == 2
    assert "nothing to undo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cores", "text", "mask"), [((0, 1), "0-1", "3"), ((2, 3, 6), "2-3,6", "4c"), ((0, 33), "0,33", "2,00000001")]
)
def test_lists_and_masks_are_written_as_the_kernel_writes_them(cores, text, mask):
    assert tune.list_of(cores) == text
    assert tune.cores_of(text) == cores
    assert tune.mask_of(cores) == mask
