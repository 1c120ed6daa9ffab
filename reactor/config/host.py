"""Facts about this machine that matter for latency, each with its remedy. Reads /proc and /sys, changes nothing."""

import os
import resource
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from reactor.compiled import COMPILED, state
from reactor.config.placement import Host


class Judgement(IntEnum):
    """How a fact stands."""

    GOOD = 0
    NOTE = 1  # works, but costs latency
    BAD = 2  # something will not work


@dataclass(frozen=True)
class Fact:
    """One line of `crypto-trade check`."""

    name: str
    value: str
    judgement: Judgement
    remedy: str = ""


def this_host() -> Host:
    """Cores that this process may use, and those that the kernel keeps free of others."""
    allowed = tuple(sorted(os.sched_getaffinity(0)))
    isolated = tuple(core for core in parse_cores(_read("/sys/devices/system/cpu/isolated")) if core not in allowed)
    usable = tuple(core for core in isolated if _may_pin(core))
    mine = tuple(core for core in parse_cores(_read("/sys/devices/system/cpu/isolated")) if core in allowed)
    return Host(cores=allowed, isolated=tuple(sorted((*usable, *mine))))


def parse_cores(text: str) -> tuple[int, ...]:
    """The kernel's list form: `0-2,5` → (0, 1, 2, 5)."""
    cores: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            cores += range(int(first), int(last or first) + 1)
    return tuple(cores)


def facts() -> list[Fact]:
    """Everything that `check` prints about the host."""
    host = this_host()
    found = [_cores(host), _isolation(host), _governor(), _pinning(host), _memory_lock(), _clock(), _shared_memory()]
    found += [_tracing(), _files(), _smt(), _sleep(), _hot_code()]
    return found


def _hot_code() -> Fact:
    form, why, _ = state()
    if form == COMPILED:
        return Fact("hot code", f"{form}, {why}", Judgement.GOOD)
    return Fact("hot code", form, Judgement.NOTE, why)


def _cores(host: Host) -> Fact:
    count = len(host.cores)
    if count >= 6:
        return Fact("cores", f"{count} usable", Judgement.GOOD)
    return Fact(
        "cores",
        f"{count} usable: {', '.join(map(str, host.cores))}",
        Judgement.NOTE,
        "below six cores the roles share them and sleep instead of spinning; see system.placement.colocate",
    )


def _isolation(host: Host) -> Fact:
    if host.isolated:
        return Fact("isolated cores", ", ".join(map(str, host.isolated)), Judgement.GOOD)
    return Fact(
        "isolated cores",
        "none",
        Judgement.NOTE,
        "boot with isolcpus=2-5 nohz_full=2-5 rcu_nocbs=2-5 (deploy/host/README.md), then hot roles spin undisturbed",
    )


def _governor() -> Fact:
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip()
    if not governor:
        return Fact(
            "frequency governor",
            "not visible (virtual machine?)",
            Judgement.NOTE,
            "on bare metal: cpupower frequency-set -g performance",
        )
    if governor == "performance":
        return Fact("frequency governor", governor, Judgement.GOOD)
    return Fact("frequency governor", governor, Judgement.NOTE, "sudo cpupower frequency-set -g performance")


def _may_pin(core: int) -> bool:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        return False
    os.sched_setaffinity(0, before)
    return True


def _pinning(host: Host) -> Fact:
    if _may_pin(host.cores[0]):
        return Fact("pinning", "allowed", Judgement.GOOD)
    return Fact(
        "pinning", "refused", Judgement.NOTE, "run outside the container's cpuset limits, or set system.placement.pin: false"
    )


def _memory_lock() -> Fact:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or soft >= 256 << 20 or os.geteuid() == 0:
        shown = "unlimited" if soft == resource.RLIM_INFINITY or os.geteuid() == 0 else f"{soft >> 20} MiB"
        return Fact("memory lock", shown, Judgement.GOOD)
    return Fact(
        "memory lock",
        f"{soft >> 10} KiB",
        Judgement.NOTE,
        "rings may be paged out: ulimit -l unlimited, or `<user> - memlock unlimited` in /etc/security/limits.conf",
    )


def _clock() -> Fact:
    source = _read("/sys/devices/system/clocksource/clocksource0/current_clocksource").strip() or "unknown"
    if source in ("tsc", "kvm-clock", "arch_sys_counter"):
        return Fact("clock source", source, Judgement.GOOD)
    return Fact(
        "clock source", source, Judgement.NOTE, "a clock read costs a system call; boot with clocksource=tsc tsc=reliable"
    )


def _shared_memory() -> Fact:
    try:
        status = os.statvfs("/dev/shm")
    except OSError:
        return Fact("/dev/shm", "missing", Judgement.BAD, "mount a tmpfs there: sudo mount -t tmpfs tmpfs /dev/shm")
    free = status.f_bavail * status.f_frsize
    if not os.access("/dev/shm", os.W_OK):
        return Fact("/dev/shm", "not writable", Judgement.BAD, "sudo chmod 1777 /dev/shm")
    if free < 128 << 20:
        return Fact("/dev/shm", f"{free >> 20} MiB free", Judgement.BAD, "needs 128 MiB; in docker: --shm-size=512m")
    return Fact("/dev/shm", f"{free >> 20} MiB free", Judgement.GOOD)


def _tracing() -> Fact:
    scope = _read("/proc/sys/kernel/yama/ptrace_scope").strip()
    if scope in ("", "0") or os.geteuid() == 0:
        return Fact("ptrace (py-spy)", "allowed", Judgement.GOOD)
    return Fact("ptrace (py-spy)", f"scope {scope}", Judgement.NOTE, "profiling needs: sudo sysctl kernel.yama.ptrace_scope=0")


def _files() -> Fact:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= 1024:
        return Fact("open files", str(soft), Judgement.GOOD)
    return Fact("open files", str(soft), Judgement.BAD, f"ulimit -n {min(hard, 4096)}")


def _smt() -> Fact:
    active = _read("/sys/devices/system/cpu/smt/active").strip()
    if active != "1":
        return Fact("hyper-threading", "off", Judgement.GOOD)
    return Fact(
        "hyper-threading",
        "on",
        Judgement.NOTE,
        "a sibling disturbs its core: echo off | sudo tee /sys/devices/system/cpu/smt/control",
    )


def _sleep() -> Fact:
    file = "/dev/cpu_dma_latency"
    if os.access(file, os.W_OK):
        return Fact("sleeping cores", "kept awake while a session runs", Judgement.GOOD)
    return Fact(
        "sleeping cores",
        f"{file} is not ours to write" if Path(file).exists() else f"the kernel has no {file}",
        Judgement.NOTE,
        f"a core that slept is slow at first: sudo chgrp $(id -gn) {file} && sudo chmod g+w {file} (until the next boot)",
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
