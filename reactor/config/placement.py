"""Which shard runs on which core and how it waits: a pure decision with its reason, printed at start and by `check`.

    isolated cores enough for every hot role    → a process and a core each, spin
    more cores than hot roles                   → a process and a core each, hybrid (the last core is left to the rest)
    fewer, but not a single one                 → all hot roles in one process, not pinned, hybrid
    one core                                    → all hot roles in one process, block

Where cores are short, every hop between two processes waits for the scheduler: measured on two shared cores, a tick becomes
an order in a third of the time in one process. `layout: processes` keeps a process per role on any host; both survive the
death of any process, but one process takes all of its roles along. Hybrid spins between ticks, and not while others wait for
a core (loop/wait.py).

A hot shard is one that stands between a tick and an order: feeds, collector, prepost, engine. The config may overrule
every line of the outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from reactor.config.plan import HOT_KINDS
from reactor.loop.wait import HYBRID_SPIN_NS, WaitPolicy


@dataclass(frozen=True)
class Host:
    """What the machine offers to this process."""

    cores: tuple[int, ...]  # this process may run on these (its affinity mask)
    isolated: tuple[int, ...] = ()  # taken out of the scheduler's hands (isolcpus, cpuset)


@dataclass(frozen=True)
class PlacementParameters:
    """The user's wishes; empty means: decide for me."""

    layout: Literal["auto", "processes", "shared"] = "auto"  # a process per role, or one for all between tick and order
    colocate: tuple[tuple[str, ...], ...] = ()  # each inner list of role names becomes one shard; overrules layout
    wait: str = "auto"  # auto, block, hybrid, spin
    hybrid_spin_us: int = HYBRID_SPIN_NS // 1000  # after the last work, before it sleeps; not while others wait for cores
    rehearsal_us: int = 500  # how often idle roles play an invented decision and look at what the next one needs; 0: never
    keep_awake: bool = (
        True  # idle cores poll while a session runs if the kernel lets us ask (supervisor/awake.py): power for latency
    )
    pin: bool = True  # False: never pin, whatever the host offers
    cores: dict[str, int] = field(default_factory=dict)  # shard or role name → core


@dataclass(frozen=True)
class Place:
    """Where one shard runs."""

    shard: str
    roles: tuple[str, ...]
    core: int | None
    wait_policy: WaitPolicy
    reason: str


def shards_of(roles: Sequence[str], colocate: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The roles grouped into shards, in their own order. A role that no group names is a shard of its own.

    Raises:
        ValueError: a group names a role that does not exist, or a role stands in two groups.
    """
    seen: set[str] = set()
    for group in colocate:
        for name in group:
            if name not in roles:
                raise ValueError(f"colocate names {name!r}, but the roles are {', '.join(roles)}")
            if name in seen:
                raise ValueError(f"colocate names {name!r} twice: a role runs in one shard")
            seen.add(name)
    shards: list[tuple[str, ...]] = []
    placed: set[str] = set()
    for role in roles:
        if role in placed:
            continue
        together = next((tuple(each) for each in colocate if role in each), (role,))
        shards.append(together)
        placed.update(together)
    return shards


def _is_short_of_cores(roles: Sequence[tuple[str, str]], host: Host, wishes: PlacementParameters) -> bool:
    """Fewer cores than a process per hot role needs, and no wish of the user for single roles."""
    if wishes.cores:
        return False
    hot_count = sum(kind in HOT_KINDS for _, kind in roles)
    shared_count = sum(core not in host.isolated for core in host.cores)
    return len(host.isolated) < hot_count and shared_count <= hot_count


def place(roles: Sequence[tuple[str, str]], host: Host, wishes: PlacementParameters) -> list[Place]:
    """`roles` are (name, kind). One Place per shard, in start order.

    Raises:
        ValueError: a wish cannot be met; the sentence says which.
    """
    kinds = dict(roles)
    together = wishes.colocate
    is_short = not together and wishes.layout != "processes" and _is_short_of_cores(roles, host, wishes)
    if is_short or (not together and wishes.layout == "shared"):
        together = (tuple(name for name, kind in roles if kind in HOT_KINDS),)
    shards = shards_of([name for name, _ in roles], together)
    _check_cores(wishes, host, {"+".join(shard) for shard in shards} | set(kinds))
    hot = [shard for shard in shards if any(kinds[name] in HOT_KINDS for name in shard)]
    offer = _offer(host, wishes, len(hot), len(together[0]) if is_short else 0)
    free = list(offer.cores)
    places = []
    for shard in shards:
        name = "+".join(shard)
        wish = next((wishes.cores[each] for each in (name, *shard) if each in wishes.cores), None)
        if shard not in hot:
            why = "not between tick and order" if wish is None else "core as configured"
            places.append(Place(name, shard, wish, WaitPolicy.BLOCK, why))
            continue
        if wish is None:
            core, policy, why = free.pop(0) if free else None, offer.policy, offer.reason
        else:
            core, policy, why = wish, WaitPolicy.SPIN if wish in host.isolated else WaitPolicy.HYBRID, "core as configured"
        if wishes.wait != "auto":
            policy = WaitPolicy[wishes.wait.upper()]
            why += f"; wait policy {wishes.wait} as configured"
        places.append(Place(name, shard, core, policy, why))
    return places


def _check_cores(wishes: PlacementParameters, host: Host, known: set[str]) -> None:
    for name, core in wishes.cores.items():
        if name not in known:
            raise ValueError(f"placement.cores names {name!r}, but the shards are {', '.join(sorted(known))}")
        if core not in host.cores and core not in host.isolated:
            raise ValueError(f"placement.cores puts {name} on core {core}, but this process may use {list(host.cores)}")


@dataclass(frozen=True)
class _Offer:
    """What the hot shards get of which nobody wished otherwise: cores in turn, or none where they are not pinned."""

    cores: Sequence[int]
    policy: WaitPolicy
    reason: str


def _offer(host: Host, wishes: PlacementParameters, hot_count: int, sharing_count: int) -> _Offer:
    """`sharing_count`: the roles that share one process because cores are short, or 0."""
    isolated = [core for core in host.isolated if core not in wishes.cores.values()]
    shared = [core for core in host.cores if core not in host.isolated and core not in wishes.cores.values()]
    if not wishes.pin:
        return _Offer((), WaitPolicy.BLOCK, "pinning is switched off in the config")
    if sharing_count:
        reason = (
            f"{len(host.cores)} cores for {sharing_count} hot roles: they share one process, "
            "because a hop between processes would wait for a core (placement.layout: processes overrules)"
        )
        if len(shared) > 1:
            spinning = "it spins a little between ticks while nobody else waits for its core"
            return _Offer((), WaitPolicy.HYBRID, f"{reason}; {spinning}")
        return _Offer((), WaitPolicy.BLOCK, reason)
    if len(isolated) >= hot_count:
        return _Offer(isolated, WaitPolicy.SPIN, f"an isolated core for each of {hot_count} hot shards")
    if len(shared) > hot_count:
        reason = f"a core for each of {hot_count} hot shards, not isolated: spin a little, then sleep"
        return _Offer(shared, WaitPolicy.HYBRID, reason)
    reason = f"{len(host.cores)} cores for {hot_count} hot shards: shared, so nobody is pinned and nobody spins"
    return _Offer((), WaitPolicy.BLOCK, reason)
