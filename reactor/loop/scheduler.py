"""What a process asks of the kernel's scheduler: its core, its turn among the others, a word when its parent dies.

    hot        go_first    before everything else on its core; the only hot one there is let in at once, whoever runs;
                           of several, who stands nearer to the order goes before who stands nearer to the tick
    not hot    give_way    never pushes a running process off its core

A refusal is no reason to stop: latency suffers, correctness does not.
"""

import contextlib
import ctypes
import os
import signal
import sys
from typing import Final

from reactor._native import lib

NICE_HOT: Final = -10  # Where it is allowed (root, or a limit for nice): weighs ten times an ordinary process.
# Of several on one core: what the earlier ones still have to do behind their hand-over (a heartbeat, a rehearsal) would run in
# the middle of the way. Graded so, the slowest tenth of the ticks waits a seventh less, the slowest hundredth a quarter.
NICE_PER_STEP: Final = -2
# Of the only hot one on its core. Whoever runs with longer turns is interrupted for it, unless it owes them a turn: what others
# are due while they wait is repaid first, by weight. To the journal's that was 250 µs of a tick's wait; to these it is nothing.
NICE_ALONE: Final = -20
SLICE_ALONE_NS: Final = 100_000  # the shortest there is; needs no privilege
NICE_JOURNAL: Final = -5  # What cannot be written down is not begun: a starved journal stops trading.
NICE_VENUE: Final = 5  # The simulated one: a third of an ordinary process's share when cores are short; always allowed.
PR_SET_PDEATHSIG: Final = 1


def pin_to(core: int | None) -> None:
    """Pins this process. A refusal is told on stderr."""
    if core is None:
        return
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        print(f"cannot pin to core {core}: {error.strerror}; running unpinned", file=sys.stderr)


def give_way(nice: int) -> None:
    """Lets the kernel never push a running process off its core for this one (SCHED_BATCH); needs no privilege.

    Without it an order handed to a socket on the same host, or an entry for the journal, costs its sender the core for as long
    as the woken process likes: 600 µs on two shared cores.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def go_first(*, is_alone: bool, step: int = 0) -> None:
    """Asks that this thread is let in before others, and undoes what was inherited from a parent that gives way.

    `is_alone`: no other hot thread may run on its core. Several with short turns would push each other off it.
    `step`: how many roles a tick has passed before it comes here.
    """
    with contextlib.suppress(OSError):
        if os.sched_getscheduler(0) == os.SCHED_BATCH:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    # A limit may allow less: then as much of it as it allows, so that those of a later step are never behind.
    for nice in (NICE_ALONE, NICE_HOT) if is_alone else range(NICE_HOT + NICE_PER_STEP * step, NICE_HOT + 1):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
            break
    if is_alone:
        lib.scheduler_slice_set(SLICE_ALONE_NS)


def watch_parent() -> None:
    """Asks the kernel for SIGHUP when the parent dies, so that it is noticed even while asleep."""
    # Where this fails, getppid at every heartbeat finds it too, a few milliseconds later.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGHUP), 0, 0, 0)
