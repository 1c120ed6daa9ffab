"""Every interleaving of the sleep/wake protocol, walked: no wake-up can be lost, and the protocol in a wrong order loses one.

The model has one reader with one bell and, per ring, one writer: two rings of one reader are enough to have one ring's ringing
cover another's, more add nothing new. Steps are those of ring_commit() and ring_prepare_sleep() in cffi_build/src/ring.c and
of the shard around them; `test_the_model_is_of_the_code` holds the C text against this one.

Memory is x86's: each thread has a store buffer that drains when it likes, oldest first. A sequentially consistent store is in
memory before the thread goes on; a weaker one may wait in the buffer while the thread already loads. The writer of a ring
may be at any step while any other thread is at any of its own.

A wake-up is lost when the reader waits for a silent bell, every writer is done, and a message is unread.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "cffi_build" / "src" / "ring.c"


@dataclass(frozen=True)
class Protocol:
    """The order of the steps. The default is the one that is built; each field can be spoiled."""

    commit_is_ordered: bool = True  # published is stored sequentially consistent
    commit_publishes_first: bool = True  # published before looking at the flag
    flag_is_ordered: bool = True  # the flag is stored sequentially consistent
    flag_before_check: bool = True  # the flag is raised before looking at published
    one_ticket_per_sleep: bool = True  # every sleep has a new ticket, so that "rung once" is once per sleep
    checks_every_ring: bool = True
    silences_before_looking: bool = True
    looks_before_sleeping_again: bool = True


@dataclass(frozen=True)
class Writer:
    to_commit: int
    step: str = "publish"
    committed: int = 0  # What it has stored, seen by itself.
    woken_ticket: int = 0
    seen_ticket: int = 0


@dataclass(frozen=True)
class State:
    published: tuple[int, ...]  # in memory
    tickets: tuple[int, ...]  # the sleep flags in memory: odd is asleep
    bell: int
    writers: tuple[Writer, ...]
    writer_buffers: tuple[tuple[int, ...], ...]  # stores of `published` on their way
    reader_step: str
    reader_ring: int
    peeked: tuple[int, ...]
    reader_tickets: tuple[int, ...]  # the reader's own view of its flags
    reader_buffer: tuple[tuple[int, int], ...]  # stores of (ring, ticket) on their way
    found: bool = False


def start(messages: tuple[int, ...]) -> State:
    """One writer per ring, each with so many messages; from the second on they meet a reader that has been woken before."""
    none = (0,) * len(messages)
    writers = tuple(Writer(count) for count in messages)
    return State(none, none, 0, writers, ((),) * len(messages), "look", 0, none, none, ())


def put(values: tuple, index: int, value) -> tuple:  # type: ignore[no-untyped-def, type-arg]
    return (*values[:index], value, *values[index + 1 :])


def writer_steps(state: State, i: int, protocol: Protocol) -> Iterator[State]:
    """What the writer of ring `i` may do next."""
    writer, buffer = state.writers[i], state.writer_buffers[i]
    if buffer:  # The oldest store reaches memory.
        yield replace(
            state, published=put(state.published, i, buffer[0]), writer_buffers=put(state.writer_buffers, i, buffer[1:])
        )

    def at(step: str, **changes: int) -> tuple[Writer, ...]:
        return put(state.writers, i, replace(writer, step=step, **changes))

    publish_next, look_next = ("look", "ring") if protocol.commit_publishes_first else ("ring", "publish_late")
    if writer.step == "publish" and writer.committed < writer.to_commit:
        if not protocol.commit_publishes_first:
            yield replace(state, writers=at("look"))
        else:
            yield from publish(state, i, protocol, at(publish_next, committed=writer.committed + 1), writer.committed + 1)
    elif writer.step == "look":
        yield replace(state, writers=at(look_next, seen_ticket=state.tickets[i]))
    elif writer.step == "publish_late":
        yield from publish(state, i, protocol, at("ring", committed=writer.committed + 1), writer.committed + 1)
    elif writer.step == "ring":
        ticket = writer.seen_ticket
        if ticket % 2 == 1 and ticket != writer.woken_ticket:
            yield replace(state, bell=state.bell + 1, writers=at("publish", woken_ticket=ticket))
        else:
            yield replace(state, writers=at("publish"))


def publish(state: State, i: int, protocol: Protocol, writers: tuple[Writer, ...], value: int) -> Iterator[State]:
    buffer = state.writer_buffers[i]
    if not protocol.commit_is_ordered:
        yield replace(state, writers=writers, writer_buffers=put(state.writer_buffers, i, (*buffer, value)))
    elif not buffer:  # Ordered: in memory before the thread goes on.
        yield replace(state, writers=writers, published=put(state.published, i, value))


def raise_flag(state: State, ring: int, ticket: int, is_ordered: bool, step: str) -> Iterator[State]:
    """The reader stores its flag and goes on to `step`."""
    own = put(state.reader_tickets, ring, ticket)
    if not is_ordered:
        yield replace(state, reader_tickets=own, reader_buffer=(*state.reader_buffer, (ring, ticket)), reader_step=step)
    elif not state.reader_buffer:
        yield replace(state, reader_tickets=own, tickets=put(state.tickets, ring, ticket), reader_step=step)


def reader_steps(state: State, protocol: Protocol) -> Iterator[State]:
    """What the shard may do next: look into all rings, prepare every ring for sleep, wait, cancel, silence, look again."""
    rings, ring, step = len(state.published), state.reader_ring, state.reader_step
    if state.reader_buffer:
        (target, ticket), *rest = state.reader_buffer
        yield replace(state, tickets=put(state.tickets, target, ticket), reader_buffer=tuple(rest))

    raise_step, check_step = ("raise", "check") if protocol.flag_before_check else ("raise_late", "check_early")
    first = raise_step if protocol.flag_before_check else check_step
    after_ring = "wait" if ring + 1 == rings else first
    next_ring = 0 if ring + 1 == rings else ring + 1

    if step == "look":  # Peek everything, ring by ring.
        peeked = put(state.peeked, ring, state.published[ring])
        yield replace(state, peeked=peeked, reader_ring=next_ring, reader_step="look" if ring + 1 < rings else first)
    elif step == "raise":
        new = state.reader_tickets[ring] + 1 if protocol.one_ticket_per_sleep else 1
        yield from raise_flag(state, ring, new, protocol.flag_is_ordered, "check")
    elif step == "check":
        is_unread = state.published[ring] != state.peeked[ring] and (protocol.checks_every_ring or ring == 0)
        if is_unread:
            yield replace(state, reader_step="cancel", reader_ring=0)
        else:
            yield replace(state, reader_step=after_ring, reader_ring=next_ring)
    elif step == "check_early":  # Spoiled: looks before the flag is up.
        is_unread = state.published[ring] != state.peeked[ring]
        yield replace(state, reader_step="cancel" if is_unread else "raise_late", reader_ring=0 if is_unread else ring)
    elif step == "raise_late":
        for next_state in raise_flag(state, ring, state.reader_tickets[ring] + 1, protocol.flag_is_ordered, after_ring):
            yield replace(next_state, reader_ring=next_ring)
    elif step == "wait":
        if state.bell > 0:
            silent = 0 if protocol.silences_before_looking else state.bell
            yield replace(state, bell=silent, reader_step="cancel", reader_ring=0)
    elif step == "cancel":  # Lowering needs no order: a late writer rings once too often, no more.
        own = state.reader_tickets[ring]
        lowered = (own + 1 if protocol.one_ticket_per_sleep else 0) if own % 2 == 1 else own
        after = "look" if protocol.looks_before_sleeping_again else first
        if not protocol.silences_before_looking:
            after = "look_then_silence"
        yield replace(
            state,
            reader_tickets=put(state.reader_tickets, ring, lowered),
            reader_buffer=(*state.reader_buffer, (ring, lowered)) if lowered != own else state.reader_buffer,
            reader_ring=next_ring,
            reader_step="cancel" if ring + 1 < rings else after,
        )
    elif step == "look_then_silence":
        # Spoiled: takes the messages, goes to sleep again with the flags up, and then empties the bell.
        yield replace(state, peeked=state.published, reader_step="raise_then_silence", reader_ring=0)
    elif step == "raise_then_silence":
        for next_state in raise_flag(state, ring, state.reader_tickets[ring] + 1, True, "check_then_silence"):
            yield replace(next_state, reader_ring=ring)
    elif step == "check_then_silence":
        if state.published[ring] != state.peeked[ring]:
            yield replace(state, reader_step="cancel", reader_ring=0)
        else:
            yield replace(state, reader_step="silence" if ring + 1 == rings else "raise_then_silence", reader_ring=next_ring)
    elif step == "silence":
        yield replace(state, bell=0, reader_step="wait", reader_ring=0)


def lost_wake_up(protocol: Protocol, messages: tuple[int, ...]) -> tuple[State | None, int]:
    """A state from which nothing moves although a message is unread (None: there is none), and how many states were walked."""
    seen = {start(messages)}
    todo = list(seen)
    while todo:
        state = todo.pop()
        following = [*reader_steps(state, protocol)]
        for i in range(len(messages)):
            following += writer_steps(state, i, protocol)
        if not following and state.peeked != messages:
            return state, len(seen)
        for next_state in following:
            if next_state not in seen:
                seen.add(next_state)
                todo.append(next_state)
    return None, len(seen)


@pytest.mark.parametrize("messages", [(4,), (2, 1)], ids=["one ring", "two rings on one bell"])
def test_no_interleaving_of_the_protocol_loses_a_wake_up(messages: tuple[int, ...]) -> None:
    stuck, walked = lost_wake_up(Protocol(), messages)
    assert stuck is None
    assert walked > 50, "the walk went somewhere"


@pytest.mark.parametrize(
    "spoiled",
    [
        Protocol(commit_is_ordered=False),
        Protocol(commit_publishes_first=False),
        Protocol(flag_is_ordered=False),
        Protocol(flag_before_check=False),
        Protocol(one_ticket_per_sleep=False),
        Protocol(silences_before_looking=False),
    ],
    ids=[
        "the commit waits in the store buffer",
        "the writer looks at the flag before it publishes",
        "the flag waits in the store buffer",
        "the reader looks before it raises the flag",
        "a sleep reuses the ticket of the one before",
        "the bell is silenced after looking",
    ],
)
def test_the_walk_finds_the_lost_wake_up_of_a_wrong_order(spoiled: Protocol) -> None:
    stuck, _ = lost_wake_up(spoiled, (2,))
    assert stuck is not None


def test_the_walk_finds_the_ring_that_was_not_checked_before_sleeping() -> None:
    stuck, _ = lost_wake_up(Protocol(checks_every_ring=False), (1, 1))
    assert stuck is not None


def _body(function: str) -> str:
    match = re.search(rf"^\w+ {function}\(.*?^\}}", SOURCE.read_text(), re.MULTILINE | re.DOTALL)
    assert match is not None, f"{function} is in ring.c"
    return match.group(0)


def _atomics(function: str) -> list[tuple[str, str, str]]:
    """(store or load, which variable, order) in the order of the text."""
    found = re.findall(r"atomic_(store|load)_explicit\(\s*&?([\w\->]+),.*?memory_order_(\w+)\)", _body(function), re.DOTALL)
    return [(verb, name.rsplit(">", 1)[-1], order) for verb, name, order in found]


def test_the_model_is_of_the_code() -> None:
    assert _atomics("ring_commit") == [("store", "published_shared", "seq_cst"), ("load", "sleep_shared", "seq_cst")]
    prepare = [step for step in _atomics("ring_prepare_sleep") if step[2] == "seq_cst"]
    assert prepare == [("store", "sleep", "seq_cst"), ("load", "published_shared", "seq_cst")]
