#!/usr/bin/env python3
"""Prepares a Linux host for low latency: shows every change, makes it if told to, undoes it exactly.

    deploy/host/tune.py --cores 2-5                 shows what would change (nothing is written)
    sudo deploy/host/tune.py --cores 2-5 --apply    makes the changes, remembers what was there before
    deploy/host/tune.py --cores 2-5 --check         does it still stand? Exit 1 if not
    sudo deploy/host/tune.py --undo                 puts back what was there, byte for byte

`--cores` are the cores for hot roles (`crypto-trade check` names them); the others keep house. `--live` leaves out what only a
boot brings (the kernel's command line, limits): deploy/systemd/crypto-trade-host.service runs that at every boot, because /sys
and /proc forget. `--root DIR` works on a tree of files instead of this machine: that is how it is tested.

Python and only its standard library, not shell: values are compared, recorded and restored as bytes, which shell does badly,
and a review reads one list of changes instead of a hundred quoted lines. It needs no package and no virtual environment.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

RECORD = "var/lib/crypto_trade/host.json"
IDLE_LATENCY_US_MAX = 2  # A core may rest as deep as it comes back from in this time.
GRUB = "etc/default/grub.d/90-crypto-trade.cfg"
SYSCTL = "etc/sysctl.d/90-crypto-trade.conf"
LIMITS = "etc/security/limits.d/90-crypto-trade.conf"
KERNEL_VALUES = {
    "vm/swappiness": ("1", "pages of a running role are not swapped out to make room for files"),
    "vm/stat_interval": ("120", "memory statistics wake every core once a second otherwise"),
    "kernel/numa_balancing": ("0", "the kernel unmaps pages to see who touches them: a fault on the hot path"),
    "kernel/nmi_watchdog": ("0", "it takes a performance counter and an interrupt on every core"),
    "kernel/timer_migration": ("0", "timers stay where they were armed"),
}


class TuneError(Exception):
    """A sentence for the user."""


@dataclass(frozen=True)
class Change:
    """One file with other content."""

    path: str  # below the root
    wanted: bytes
    why: str
    is_live: bool  # it takes effect at once, and is forgotten at a boot
    command: tuple[str, ...] = ()  # to be run after the change and after its undoing, on a real host


def cores_of(text: str) -> tuple[int, ...]:
    """The kernel's list form: `2-3,6` → (2, 3, 6).

    Raises:
        TuneError: it is none.
    """
    cores: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
            raise TuneError(f"--cores {text}: write a list such as 2-5 or 2,3,6")
        cores.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(cores))


def list_of(cores: tuple[int, ...]) -> str:
    """(0, 1, 6) → `0-1,6`."""
    parts: list[list[int]] = []
    for core in cores:
        if parts and core == parts[-1][1] + 1:
            parts[-1][1] = core
        else:
            parts.append([core, core])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def mask_of(cores: tuple[int, ...]) -> str:
    """(0, 1) → `3`; commas every 32 bits, as the kernel writes it."""
    bits = sum(1 << core for core in cores)
    words: list[int] = []
    while bits or not words:
        words.append(bits & 0xFFFFFFFF)
        bits >>= 32
    first, *rest = reversed(words)
    return ",".join([f"{first:x}", *(f"{word:08x}" for word in rest)])


class Host:
    """The machine, or a tree that looks like one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.is_real = root == Path("/")
        self.made: list[str] = []  # folders that were not there, the outer ones first

    def read(self, path: str) -> bytes | None:
        """None: there is no such file, or nobody may read it."""
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def text(self, path: str) -> str:
        return (self.read(path) or b"").decode(errors="replace").strip()

    def names(self, folder: str, pattern: str) -> list[str]:
        return sorted(str(each.relative_to(self.root)) for each in (self.root / folder).glob(pattern))

    def write(self, path: str, content: bytes) -> None:
        """Of a file with choices (`[always] madvise never`) the kernel wants the word; in a tree the brackets move.

        Raises:
            OSError: the kernel refuses, or nobody may write there.
        """
        target, before = self.root / path, self.read(path)
        choices = choices_of(before)
        if choices:
            word = chosen(content)
            content = word.encode()
            if not self.is_real:
                content = b" ".join(b"[%s]" % each if each == word.encode() else each for each in choices) + b"\n"
        missing = [folder for folder in Path(path).parents if not (self.root / folder).exists()]
        self.made += [str(folder) for folder in reversed(missing)]
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.startswith(("sys/", "proc/")):
            target.write_bytes(content)  # In place: these files are doors, not content.
            return
        fresh = target.with_name(target.name + ".new")
        fresh.write_bytes(content)
        fresh.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o644)
        os.replace(fresh, target)

    def is_as(self, path: str, wanted: bytes) -> bool:
        """The file says what is wanted; white space and the other choices aside."""
        now = self.read(path)
        if now is None:
            return False
        if path.endswith(("cpumask", "default_smp_affinity")):  # The kernel writes zeros in front.
            return _number(now) == _number(wanted)
        return chosen(now) == chosen(wanted)


def _number(mask: bytes) -> int:
    text = mask.decode(errors="replace").strip().replace(",", "")
    return int(text, 16) if text and all(letter in "0123456789abcdefABCDEF" for letter in text) else -1


def choices_of(content: bytes | None) -> list[bytes]:
    """The words of `[always] madvise never`, without the brackets; empty for any other content."""
    words = (content or b"").split()
    is_choice = any(word.startswith(b"[") and word.endswith(b"]") for word in words) and b"\n" not in (content or b"").strip()
    return [word.strip(b"[]") for word in words] if is_choice else []


def chosen(content: bytes) -> str:
    """What holds: the word in brackets, or everything."""
    text = content.decode(errors="replace").strip()
    if choices_of(content):
        return next(word.strip("[]") for word in text.split() if word.startswith("["))
    return text


# -- what is to change


def changes(host: Host, hot: tuple[int, ...], user: str, live_only: bool) -> list[Change]:
    """Everything that this host has and that should be otherwise, or is so already.

    Raises:
        TuneError: the cores do not fit this host.
    """
    online = cores_of(host.text("sys/devices/system/cpu/online") or "0")
    if not set(hot) <= set(online):
        raise TuneError(f"--cores {list_of(hot)}: this host has {list_of(online)}")
    house = tuple(core for core in online if core not in hot)
    if not house:
        raise TuneError(f"--cores {list_of(hot)}: leave at least one core for everybody else")
    found = [*_live(host, hot, house)]
    if not live_only:
        found += _lasting(host, hot, house, user)
    return found


def _live(host: Host, hot: tuple[int, ...], house: tuple[int, ...]) -> Iterator[Change]:
    cpu = "sys/devices/system/cpu"
    for core in hot:
        path = f"{cpu}/cpu{core}/cpufreq/scaling_governor"
        if host.read(path) is not None:
            yield Change(path, b"performance", "a core that was slowed down takes a millisecond to come back", True)
        for state in host.names(f"{cpu}/cpu{core}/cpuidle", "state*"):
            if int(host.text(f"{state}/latency") or 0) > IDLE_LATENCY_US_MAX:
                why = f"leaving {host.text(f'{state}/name') or 'it'} takes {host.text(f'{state}/latency')} µs"
                yield Change(f"{state}/disable", b"1", why, True)
    for path in host.names("proc/irq", "*/smp_affinity_list"):
        yield Change(path, list_of(house).encode(), "interrupts are handled by the housekeeping cores", True)
    for path in ("proc/irq/default_smp_affinity", "sys/devices/virtual/workqueue/cpumask"):
        if host.read(path) is not None:
            yield Change(path, mask_of(house).encode(), "new interrupts and kernel work stay with the housekeeping cores", True)
    thp = "sys/kernel/mm/transparent_hugepage/enabled"
    if host.read(thp) is not None:
        yield Change(thp, b"madvise", "joining pages in the background stops whoever uses them", True)
    clock = "sys/devices/system/clocksource/clocksource0"
    if "tsc" in host.text(f"{clock}/available_clocksource").split():
        yield Change(f"{clock}/current_clocksource", b"tsc", "any other clock costs a system call per reading", True)
    for name, (value, why) in KERNEL_VALUES.items():
        if host.read(f"proc/sys/{name}") is not None:
            yield Change(f"proc/sys/{name}", value.encode(), why, True)


def _lasting(host: Host, hot: tuple[int, ...], house: tuple[int, ...], user: str) -> Iterator[Change]:
    cores = list_of(hot)
    words = f"isolcpus=managed_irq,domain,{cores} nohz_full={cores} rcu_nocbs={cores} irqaffinity={list_of(house)}"
    if host.read("etc/default/grub") is not None:
        text = f'# crypto_trade: cores {cores} for hot roles\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {words}"\n'
        why = "the scheduler, its tick and RCU leave these cores alone; from the next boot on"
        yield Change(GRUB, text.encode(), why, False, ("update-grub",))
    fstab = host.read("etc/fstab")
    if fstab is not None:
        lines = fstab.decode(errors="surrogateescape").splitlines(keepends=True)
        kept = "".join(f"# crypto_trade: {line}" if _is_swap(line) else line for line in lines)
        if kept.encode(errors="surrogateescape") != fstab:
            why = "no swap from the next boot on; until then: sudo swapoff -a"
            yield Change("etc/fstab", kept.encode(errors="surrogateescape"), why, False)
    rows = "".join(f"{name.replace('/', '.')} = {value}\n" for name, (value, _) in KERNEL_VALUES.items())
    yield Change(SYSCTL, rows.encode(), "the same kernel values at every boot", False)
    limits = {"memlock": "unlimited", "rtprio": "50", "nice": "-20", "nofile": "65536"}
    text = "".join(f"{user} - {name} {value}\n" for name, value in limits.items())
    yield Change(LIMITS, text.encode(), f"{user} may lock its rings in memory and go first; from the next login on", False)


def _is_swap(line: str) -> bool:
    words = line.split()
    return len(words) > 2 and not words[0].startswith("#") and words[2] == "swap"


# -- what was there before


Record = dict[str, dict[str, str | None]]


def load_record(host: Host) -> Record:
    """Path → {previous, applied} in base64; previous None: there was no file. Empty: nothing was applied. Fills host.made."""
    content = host.read(RECORD)
    if content is None:
        return {}
    known = json.loads(content)
    host.made = known["folders"]
    record: Record = known["changes"]
    return record


def save_record(host: Host, record: Record) -> None:
    """Folders are known only once they are made, so the first record is written twice."""
    for _ in range(2):
        host.write(RECORD, json.dumps({"version": 1, "folders": host.made, "changes": record}, indent=1).encode())


def apply(host: Host, wanted: list[Change]) -> int:
    """Makes the changes; what was there is on disk before anything else is. Returns how many were refused."""
    record = load_record(host)
    todo = [change for change in wanted if not host.is_as(change.path, change.wanted)]
    for change in todo:
        previous = host.read(change.path)
        encoded = None if previous is None else base64.b64encode(previous).decode()
        before = record.get(change.path, {"previous": encoded})["previous"]  # The first one: that is what undo goes back to.
        record[change.path] = {"previous": before, "applied": base64.b64encode(change.wanted).decode()}
    if todo:
        save_record(host, record)
    refused = 0
    for change in todo:
        try:
            host.write(change.path, change.wanted)
        except OSError as error:  # Some interrupts belong to a core for ever.
            refused += 1
            del record[change.path]
            print(f"refused   /{change.path}: {error.strerror}")
            continue
        print(f"changed   /{change.path} = {shown(change.wanted)}")
    if todo:
        save_record(host, record)
    _run(host, {change.command for change in todo if change.command})
    return refused


def undo(host: Host, is_forced: bool) -> int:
    """Puts everything back, the last first. Returns how many somebody else has changed since: they stay, unless forced.

    Raises:
        TuneError: there is nothing to undo.
    """
    record = load_record(host)
    if not record:
        raise TuneError(f"nothing to undo: there is no /{RECORD}")
    left = 0
    for path in reversed(list(record)):
        previous, applied = record[path]["previous"], base64.b64decode(record[path]["applied"] or "")
        if host.read(path) is not None and not host.is_as(path, applied) and not is_forced:
            left += 1
            print(f"left      /{path}: somebody has changed it since; --force puts it back all the same")
            continue
        try:
            if previous is None:
                (host.root / path).unlink(missing_ok=True)
            else:
                host.write(path, base64.b64decode(previous))
        except OSError as error:
            left += 1
            print(f"refused   /{path}: {error.strerror}")
            continue
        del record[path]
        print(f"restored  /{path}")
    if record:
        save_record(host, record)
    else:
        (host.root / RECORD).unlink()
        for folder in reversed(host.made):
            if not any((host.root / folder).iterdir()):
                (host.root / folder).rmdir()
    _run(host, {("update-grub",)} if GRUB not in record else set())
    return left


def _run(host: Host, commands: set[tuple[str, ...]]) -> None:
    for command in commands:
        if not host.is_real:
            continue
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"run this yourself: {' '.join(command)} ({error})", file=sys.stderr)


def shown(content: bytes | None) -> str:
    """One line for people."""
    if content is None:
        return "(no file)"
    lines = chosen(content).splitlines() or [""]
    return lines[0] if len(lines) == 1 else f"{len(lines)} lines"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Prepares a host for low latency; shows by default, changes nothing.")
    parser.add_argument("--cores", default="", help="cores for hot roles, such as 2-5")
    parser.add_argument("--apply", action="store_true", help="make the changes (as root)")
    parser.add_argument("--check", action="store_true", help="exit 1 if something is not as it should be")
    parser.add_argument("--undo", action="store_true", help="put back what was there (as root)")
    parser.add_argument("--force", action="store_true", help="with --undo: also what somebody has changed since")
    parser.add_argument("--live", action="store_true", help="only what takes effect at once")
    user = os.environ.get("SUDO_USER") or os.environ.get("USER") or "trader"
    parser.add_argument("--user", default=user, help="whose limits")
    parser.add_argument("--root", type=Path, default=Path("/"), help="a tree instead of this machine")
    options = parser.parse_args(arguments)
    host = Host(options.root.resolve())
    try:
        if options.apply + options.check + options.undo > 1:
            raise TuneError("one of --apply, --check and --undo")
        if options.undo:
            return 1 if undo(host, options.force) else 0
        if not options.cores:
            raise TuneError("which cores? --cores 2-5; `crypto-trade check` names them")
        wanted = changes(host, cores_of(options.cores), options.user, options.live)
        if options.apply:
            return 1 if apply(host, wanted) else 0
        differing = [change for change in wanted if not host.is_as(change.path, change.wanted)]
        for change in wanted:
            mark = "change" if change in differing else "good"
            print(f"{mark:7} /{change.path}: {shown(host.read(change.path))} → {shown(change.wanted)}")
            if change in differing:
                print(f"          {change.why}")
        print(f"{len(differing)} of {len(wanted)} differ" + ("" if options.check else "; nothing was changed: --apply does it"))
        return 1 if options.check and differing else 0
    except TuneError as error:
        print(f"tune.py: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except PermissionError as error:
        print(f"tune.py: {error.filename}: permission denied; run it with sudo", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
