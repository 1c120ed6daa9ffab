"""A shard runs its roles, sleeps when it may, and ends as its docstring says."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from reactor.domain.messages import LifeState
from reactor.loop.clock import ManualClock, SystemClock
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog
from reactor.loop.shard import EXIT_FAILED, LINKS_AT_ONCE, PASS_PERIOD_MAX_NS, REFRESH_NS, Cell, Shard, ShardParameters
from reactor.loop.wait import WaitPolicy


class CountingRole:
    """Leaves its shard after `passes_max` passes."""

    name = "counting"

    def __init__(self, shard: Shard, passes_max: int) -> None:
        self.shard = shard
        self.passes_max = passes_max
        self.calls: list[str] = []

    def on_start(self, now_ns: int) -> None:
        self.calls.append("start")

    def do_work(self, now_ns: int) -> int:
        self.calls.append("work")
        if self.calls.count("work") >= self.passes_max:
            self.shard.leave()
        return 0

    def deadline_ns(self, now_ns: int) -> int:
        return now_ns

    def is_ready(self) -> bool:
        return True

    def on_stop(self, now_ns: int) -> None:
        self.calls.append("stop")


class FailingRole(CountingRole):
    def do_work(self, now_ns: int) -> int:
        raise ValueError("the table is broken")


class FakeInput:
    """An input whose sleep is refused `refusals` times."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.flag = False

    def prepare_sleep(self) -> bool:
        self.flag = True
        self.refusals -= 1
        return self.refusals < 0

    def cancel_sleep(self) -> None:
        self.flag = False

    def refresh(self, now_ns: int) -> None:
        pass


@pytest.fixture(autouse=True)
def keep_sigint():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def run(role_type: type[CountingRole], passes_max: int, inputs: tuple[FakeInput, ...] = ()):
    shard = Shard(ShardParameters("test", freeze_garbage=False, is_hot=False), SystemClock())
    role = role_type(shard, passes_max)
    metrics, log = Metrics(), ListLog()
    code = shard.run(lambda it: it.plug([Cell(role, metrics, log)], inputs, inputs))
    return code, role, metrics, log


def test_a_role_is_started_worked_and_stopped_in_this_order():
    code, role, metrics, _ = run(CountingRole, 3)
    assert code == 0
    assert role.calls == ["start", "work", "work", "work", "stop"]
    assert metrics.view.life_state == LifeState.STOPPED
    assert metrics.view.pid == os.getpid()


def test_a_failing_role_ends_the_shard_with_its_sentence_in_the_metrics(capfd):
    code, _, metrics, log = run(FailingRole, 1)
    assert code == EXIT_FAILED
    assert metrics.view.life_state == LifeState.FAILED
    assert log.records[-1][2]["error"] == "ValueError: the table is broken"


def test_a_refused_sleep_runs_another_pass_and_lowers_every_flag():
    first, second = FakeInput(0), FakeInput(2)
    code, _, _, _ = run(CountingRole, 5, (first, second))
    assert code == 0
    assert not first.flag
    assert not second.flag


class QuietRole(CountingRole):
    """Has nothing to do for an hour; works once per message in its input."""

    def __init__(self, name: str) -> None:
        self.name, self.waiting, self.passes = name, 0, 0

    def unread(self) -> int:
        return self.waiting

    def do_work(self, now_ns: int) -> int:
        self.passes += 1
        done, self.waiting = min(self.waiting, 1), max(self.waiting - 1, 0)
        return done

    def deadline_ns(self, now_ns: int) -> int:
        return now_ns + 3600 * 10**9


def test_a_role_is_entered_for_what_is_unread_for_its_sockets_and_for_its_deadline_only():
    clock = ManualClock()
    shard = Shard(ShardParameters("test", wait_policy=WaitPolicy.SPIN, freeze_garbage=False), clock)
    busy, idle = QuietRole("busy"), QuietRole("idle")
    hear = shard.activity_of("idle", is_tick=True)
    shard.plug([Cell(role, Metrics(), ListLog(), role.unread) for role in (busy, idle)], [], [], lambda: 1)
    shard._pass()
    assert (busy.passes, idle.passes) == (1, 1), "once at the start"
    busy.waiting = 3
    shard._pass()
    assert (busy.passes, idle.passes) == (5, 1), "again after each pass with work"
    hear()
    assert (busy.passes, idle.passes) == (5, 2), "a socket of its own; the tick's pass follows at once"
    clock.advance(PASS_PERIOD_MAX_NS)
    shard._pass()
    assert (busy.passes, idle.passes) == (6, 3), "nobody waits longer than a period, whatever its deadline"


def test_what_a_role_has_written_is_read_by_its_neighbours_before_it_goes_on():
    shard = Shard(ShardParameters("test", wait_policy=WaitPolicy.SPIN, freeze_garbage=False), ManualClock())
    writer, reader, bystander = QuietRole("writer"), QuietRole("reader"), QuietRole("bystander")
    turn = shard.turn_behind("writer")
    cells = [Cell(role, Metrics(), ListLog(), role.unread) for role in (writer, reader)]
    shard.plug([*cells, Cell(bystander, Metrics(), ListLog())], [], [])
    writer.waiting = reader.waiting = 1
    turn()
    assert (writer.passes, reader.passes) == (0, 1), "it is in the middle of its own work"
    assert bystander.passes == 0, "it has its own rhythm"
    turn()
    assert reader.passes == 1, "nothing is unread"


def test_a_neighbour_that_fails_in_its_turn_ends_the_shard(capfd):
    class Writer(CountingRole):
        def do_work(self, now_ns: int) -> int:
            self.shard.turn_behind("writer")()
            self.calls.append("went on")
            return 0

    def build(shard: Shard) -> None:
        cells = [Cell(writer, Metrics(), ListLog(), lambda: 1), Cell(FailingRole(shard, 5), metrics, ListLog(), lambda: 1)]
        shard.plug(cells, (), ())

    shard, metrics = Shard(ShardParameters("test", freeze_garbage=False), SystemClock()), Metrics()
    writer = Writer(shard, 5)
    writer.name = "writer"
    assert shard.run(build) == EXIT_FAILED
    assert "went on" in writer.calls, "its socket's callback is not where a neighbour's mistake is looked for"
    assert metrics.view.life_state == LifeState.FAILED


def test_a_rehearsal_plays_behind_what_came_in_unless_something_was_decided_lately():
    clock = ManualClock()
    shard = Shard(ShardParameters("test", wait_policy=WaitPolicy.SPIN, rehearsal_ns=2_000, freeze_garbage=False), clock)
    role, played = QuietRole("decider"), []
    cell = Cell(role, Metrics(), ListLog(), role.unread, decides=True)
    shard.plug([cell], [], [], rehearsals=[lambda: played.append(clock.advance(100))])
    shard._pass()
    assert len(played) == 1
    clock.advance(500)
    shard._pass()
    assert len(played) == 1, "an eighth of the core at most"
    role.waiting = 1
    clock.advance(1_400)
    shard._pass()
    assert len(played) == 1, "the real decision was warmer"
    clock.advance(1_999)
    shard._pass()
    assert len(played) == 1
    clock.advance(1)
    shard._pass()
    assert len(played) == 2


@pytest.mark.parametrize(("policy", "played_in_a_row"), [(WaitPolicy.BLOCK, 3), (WaitPolicy.HYBRID, 3), (WaitPolicy.SPIN, 1)])
def test_who_sleeps_between_two_ticks_plays_the_whole_way_and_who_spins_one_play_at_a_time(
    policy: WaitPolicy, played_in_a_row: int
):
    clock = ManualClock()  # Hybrid has not yet seen a second in which nobody waits for a core.
    shard = Shard(ShardParameters("test", wait_policy=policy, rehearsal_ns=3_000, freeze_garbage=False), clock)
    played: list[int] = []
    shard.plug([], [], [], rehearsals=[lambda number=number: played.append(clock.advance(1)) for number in range(3)])

    def play_what_is_due() -> int:
        """How many plays follow each other without a pause; a pass plays one, then the sockets are looked at."""
        played.clear()
        while clock.monotonic_ns() >= shard._rehearsal_due_ns:
            shard._rehearse(clock.monotonic_ns())
        return len(played)

    for _ in range(2):
        assert play_what_is_due() == played_in_a_row
        clock.advance(1_000 * played_in_a_row - 2)
        assert play_what_is_due() == 0
        clock.advance(1)


def test_a_shard_leaves_when_its_parent_has_died():
    """A parent starts a shard and dies at once; the shard's pipe must reach its end."""
    program = textwrap.dedent("""
        import os, subprocess, sys
        role = '''
        import os
        from reactor.loop.clock import SystemClock
        from reactor.loop.counters import Metrics
        from reactor.loop.log import NullLog
        from reactor.loop.shard import Cell, Shard, ShardParameters
        class Idle:
            name = "idle"
            def on_start(self, now_ns): os.write(1, b"up;")
            def do_work(self, now_ns): return 0
            def deadline_ns(self, now_ns): return now_ns + 10**9
            def is_ready(self): return True
            def on_stop(self, now_ns): os.write(1, b"down")
            def on_orphaned(self, now_ns): os.write(1, b"orphaned;")
        Shard(ShardParameters("idle"), SystemClock()).run(lambda s: s.plug([Cell(Idle(), Metrics(), NullLog())], [], []))
        '''
        import textwrap
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(role)], stdout=subprocess.PIPE)
        seen = process.stdout.read(3)
        os.write(1, seen)
        rest = os.dup(process.stdout.fileno())
        if os.fork() == 0:
            os.setsid()
            data = b""
            while chunk := os.read(rest, 100):
                data += chunk
            os.write(1, data)
            os._exit(0)
        os._exit(0)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert done.stdout == b"up;orphaned;down", done.stderr


class GlancingRole(QuietRole):
    """Looks ahead for 100 ns."""

    def __init__(self, name: str, clock: ManualClock) -> None:
        super().__init__(name)
        self.clock = clock
        self.glances = 0

    def glance(self) -> None:
        self.glances += 1
        self.clock.advance(100)


@pytest.mark.parametrize(("hot_neighbours", "pause_ns"), [(0, 700), (3, 3_100)])
def test_a_role_glances_behind_what_came_in_for_an_eighth_of_the_core_at_most_with_all_its_neighbours(
    hot_neighbours: int, pause_ns: int
):
    clock = ManualClock()
    parameters = ShardParameters(
        "test", wait_policy=WaitPolicy.SPIN, rehearsal_ns=2_000, freeze_garbage=False, hot_neighbours=hot_neighbours
    )
    shard = Shard(parameters, clock)
    role = GlancingRole("decider", clock)
    shard.plug([Cell(role, Metrics(), ListLog(), role.unread)], [], [])
    shard._pass()
    assert role.glances == 1
    clock.advance(pause_ns - 1)
    shard._pass()
    assert role.glances == 1
    clock.advance(1)
    role.waiting = 1
    shard._pass()
    assert role.glances == 2


class CountedLink:
    """Takes 5 µs, or fails."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.refreshes = 0
        self.error: Exception | None = None

    def refresh(self, now_ns: int) -> None:
        self.clock.advance(5_000)
        self.refreshes += 1
        if self.error is not None:
            raise self.error


def linked_shard(role: QuietRole, clock: ManualClock, count: int) -> tuple[Shard, list[CountedLink], Metrics]:
    shard = Shard(ShardParameters("test", wait_policy=WaitPolicy.SPIN, freeze_garbage=False), clock)
    links, metrics = [CountedLink(clock) for _ in range(count)], Metrics()
    shard.plug([Cell(role, metrics, ListLog(), role.unread)], [], links)
    return shard, links, metrics


@pytest.mark.parametrize("count", [0, 1, LINKS_AT_ONCE, LINKS_AT_ONCE + 1, 5 * LINKS_AT_ONCE + 3])
def test_every_link_is_refreshed_once_in_so_long_a_few_at_a_time(count: int):
    clock = ManualClock()
    shard, links, _ = linked_shard(QuietRole("quiet"), clock, count)
    for _ in range(10 * REFRESH_NS // 50_000):
        before = sum(link.refreshes for link in links)
        start_ns = clock.monotonic_ns()
        shard._pass()
        assert sum(link.refreshes for link in links) - before <= LINKS_AT_ONCE
        clock.advance(start_ns + 50_000 - clock.monotonic_ns())
    rounds = sorted({link.refreshes for link in links})
    assert all(10 <= each <= 13 for each in rounds), rounds


def test_links_wait_for_a_quiet_pass_but_not_forever():
    clock = ManualClock()
    role = QuietRole("busy")
    shard, links, _ = linked_shard(role, clock, 3)
    clock.advance(REFRESH_NS // 2)
    role.waiting = 1
    shard._work(clock.monotonic_ns())
    assert [link.refreshes for link in links] == [0, 0, 0], "a tick and whom it wakes come first"
    clock.advance(REFRESH_NS // 2 + 1)
    role.waiting = 1
    shard._work(clock.monotonic_ns())
    assert [link.refreshes for link in links] == [1, 1, 1]


def test_a_partner_that_is_not_ours_ends_the_shard_with_its_sentence():
    clock = ManualClock()
    shard, links, metrics = linked_shard(QuietRole("quiet"), clock, 2)
    links[1].error = ValueError("another process plays our role")
    shard._done = asyncio.Event()
    shard._pass()
    assert metrics.view.life_state == LifeState.FAILED
    assert shard._done.is_set()


def test_where_nothing_is_rehearsed_nobody_glances():
    clock = ManualClock()
    shard = Shard(ShardParameters("test", wait_policy=WaitPolicy.SPIN, freeze_garbage=False), clock)
    role = GlancingRole("decider", clock)
    shard.plug([Cell(role, Metrics(), ListLog(), role.unread)], [], [])
    shard._pass()
    assert role.glances == 0


def test_a_glance_that_fails_is_told_once_and_ends_nothing():
    class Blind(GlancingRole):
        def glance(self) -> None:
            super().glance()
            raise ValueError("nothing to see")

    clock, log = ManualClock(), ListLog()
    shard = Shard(ShardParameters("test", wait_policy=WaitPolicy.SPIN, rehearsal_ns=2_000, freeze_garbage=False), clock)
    role = Blind("decider", clock)
    shard.plug([Cell(role, Metrics(), log, role.unread)], [], [])
    for _ in range(3):
        shard._pass()
        clock.advance(10_000)
    assert role.glances == 1
    assert sum("glance" in words for _, words, _ in log.records) == 1
