"""What is asked of the kernel is what it then says of the thread. Whether it helps: bench/latency."""

import os
import re
import subprocess
import sys

import pytest

from reactor.loop.scheduler import NICE_ALONE, NICE_HOT, SLICE_ALONE_NS


def scheduling_of(lines: str) -> list[str]:
    """What a process that did `lines` finds of itself."""
    program = f"""
import os
from reactor.loop.scheduler import *
{lines}
print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), *[int(line.split()[-1])
      for line in open("/proc/self/sched") if line.startswith("se.slice")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


def test_who_goes_first_is_ordinary_again_and_keeps_its_nice_value_if_no_other_is_allowed():
    policy, nice, *_ = scheduling_of("give_way(3); go_first(is_alone=False)")
    assert int(policy) == os.SCHED_OTHER
    assert int(nice) in (NICE_HOT, 3)


def test_who_stands_nearer_to_the_order_goes_before_who_stands_nearer_to_the_tick():
    asked = [scheduling_of(f"go_first(is_alone=False, step={step})")[1] for step in (0, 3)]
    if int(asked[0]) != NICE_HOT:
        pytest.skip("negative nice values are not allowed here")
    assert int(asked[1]) < NICE_HOT


def test_where_a_limit_forbids_the_lowest_nice_value_the_next_one_is_taken():
    lines = f"""
asked = []
def refuse(which, who, nice):
    asked.append(nice)
    if nice == {NICE_ALONE}:
        raise PermissionError
os.setpriority = refuse
go_first(is_alone=True)
assert asked == [{NICE_ALONE}, {NICE_HOT}], asked
"""
    scheduling_of(lines)


def test_a_limit_in_between_never_puts_the_nearer_to_the_order_behind():
    lines = f"""
def refuse(which, who, nice):
    if nice < {NICE_HOT - 3}:
        raise PermissionError
    given.append(nice)
os.setpriority = refuse
given = []
for step in range(4):
    go_first(is_alone=False, step=step)
assert given == [{NICE_HOT}, {NICE_HOT - 2}, {NICE_HOT - 3}, {NICE_HOT - 3}], given
"""
    scheduling_of(lines)


def test_who_gives_way_pushes_nobody_off_a_core():
    policy, nice, *_ = scheduling_of("give_way(5)")
    assert (int(policy), int(nice)) == (os.SCHED_BATCH, 5)


def test_who_is_alone_on_its_core_has_the_shortest_turns():
    kernel = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    _, _, *slices = scheduling_of("go_first(is_alone=True)")
    if not slices or kernel < (6, 12):
        pytest.skip("this kernel has turns of one length, or does not show them")
    assert slices == [str(SLICE_ALONE_NS)]
