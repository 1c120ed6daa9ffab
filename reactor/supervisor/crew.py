"""The processes of a session: started behind their gates, watched, started again, told, and sent away.

    lifecycle.py (what may happen) ◀── Crew ──▶ processes.py (what does happen)
                                        ├── metrics rows: life signs        control rings: what we tell
                                        └── log rings and the exchange's pipe ──▶ our log

Decides nothing about trading: a death that concerns open orders is handed to whoever asked (`on_orders_at_risk`), one that
cannot be cured too (`on_give_up`).
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from reactor.config.plan import SUPERVISOR, Plan, ShardPlan
from reactor.config.secrets import Secrets, hand_over
from reactor.domain.messages import LifeState, clear, put_text, text_of
from reactor.loop.clock import SystemClock
from reactor.loop.log import Level
from reactor.loop.shard import EXIT_CONFIG
from reactor.monitor.reader import Reader
from reactor.supervisor.exchange_process import NAME as SIM
from reactor.supervisor.exchange_process import ExchangeProcess
from reactor.supervisor.instance import Instance
from reactor.supervisor.lifecycle import NEEDS, Consequence, Lifecycle, RoleState
from reactor.supervisor.log_file import LogFile, SupervisorLog, drain
from reactor.supervisor.processes import Processes
from reactor.wiring import open_consumer_of, open_producer_of
from shm.ring import Consumer, Producer
from shm.segment import Memory
from shm.wake import Bell

ALL_KINDS = tuple(NEEDS)
REAP_S = 0.005
KILL_TIME_S = 1.0
REFRESH_NS = 100_000_000  # Whether somebody new has announced a segment: asked at every tick only while a role is missing.


@dataclass
class CrewPorts:
    """What a crew is plugged into."""

    lifecycle: Lifecycle
    processes: Processes
    instance: Instance
    memory: Memory
    bells: Mapping[str, Bell]  # by shard, handed to every incarnation
    reader: Reader
    secrets: Secrets
    environment: Mapping[str, str]  # of the children
    file: LogFile
    log: SupervisorLog
    exchange: ExchangeProcess | None
    on_orders_at_risk: Callable[[str], None]  # a role died that may have left orders of ours
    on_give_up: Callable[[str], None]  # a role will not come back: one sentence


class Crew:
    """Everybody of one plan."""

    def __init__(self, plan: Plan, ports: CrewPorts) -> None:
        self.plan = plan
        self._ports = ports
        self._lifecycle = ports.lifecycle
        self._processes = ports.processes
        self._reader = ports.reader
        self._log = ports.log
        self._monotonic_ns = SystemClock().monotonic_ns
        self._controls: dict[str, Producer] = {}
        self._logs: list[tuple[str, Consumer]] = []
        self._control_number = 0
        self._refresh_due_ns = 0
        for link in plan.links:
            if link.producer == SUPERVISOR:
                self._controls[link.consumer] = open_producer_of(ports.memory, link, plan.shard_of(link.consumer).wake_fd)
            elif link.consumer == SUPERVISOR:
                self._logs.append((link.producer, open_consumer_of(ports.memory, link)))

    # -- periodic --------------------------------------------------------------------------------------------

    def tick(self, may_start: Collection[str] = ALL_KINDS) -> None:
        """Everything periodic: reap, read life signs, start what is due of these kinds, move the log."""
        now_ns = self._monotonic_ns()
        for name, code in self._processes.reap():
            self._on_death(name, code)
        if now_ns >= self._refresh_due_ns or not self._lifecycle.is_running():
            self._refresh_due_ns = now_ns + REFRESH_NS
            self._reader.refresh(now_ns)
            for producer in self._controls.values():
                producer.refresh(now_ns)
            for _, consumer in self._logs:
                consumer.refresh(now_ns)
        heartbeats = {}
        for role in self.plan.roles:
            row = self._reader.metrics(role.name)
            shard = self.plan.shard_of(role.name).name
            if row.pid == self._processes.pid(shard) and row.pid:
                heartbeats[role.name] = int(row.heartbeat_ns)
                if row.life_state == LifeState.READY and self._lifecycle.on_ready(role.name, now_ns):
                    self._log.info("role is ready", name=role.name)
        for name in self._lifecycle.hung(heartbeats, now_ns):
            self._log.error("role gives no sign of life; it is killed", name=name)
            self._processes.kill(self.plan.shard_of(name).name)
        self._start_due(now_ns, may_start)
        self.move_log()

    def move_log(self) -> None:
        """What the roles and the simulated exchange have said goes into our log."""
        drain(self._logs, self._ports.file)
        if self._ports.exchange is not None:
            self._ports.exchange.drain()
        self._ports.file.flush()

    def _start_due(self, now_ns: int, kinds: Collection[str]) -> None:
        due = {name for name in self._lifecycle.due_starts(now_ns) if self._lifecycle.roles[name].kind in kinds}
        for shard in self.plan.shards:
            # A shard of several roles starts when all of them may; their gates lie inside the shard anyway.
            if self._processes.is_alive(shard.name) or not due.intersection(shard.roles):
                continue
            if any(self._lifecycle.roles[name].state == RoleState.BACKOFF for name in shard.roles):
                continue
            self._spawn(shard)
            for name in shard.roles:
                self._lifecycle.on_started(name, now_ns)

    def _spawn(self, shard: ShardPlan) -> None:
        arguments = ["-m", "reactor.wiring", str(self._ports.instance.directory / f"plan.{self.plan.generation}"), shard.name]
        fds = [bell.fd for bell in self._ports.bells.values()]
        close_after: list[int] = []
        kinds = {self.plan.role(name).kind for name in shard.roles}
        if kinds & {"engine", "collector"}:
            known = self._ports.secrets
            secret = hand_over(
                Secrets(known.credentials if "engine" in kinds else None, known.external_token if "collector" in kinds else b"")
            )
            arguments.append(str(secret))
            fds.append(secret)
            close_after.append(secret)
        if any(self._lifecycle.roles[name].incarnation for name in shard.roles):
            self._ports.memory.remove_stale_resources()
        self._processes.spawn(shard.name, arguments, fds, self._ports.environment, close_after)
        self._ports.instance.note_pids(self._processes.table())

    def _on_death(self, name: str, code: int) -> None:
        now_ns = self._monotonic_ns()
        self._ports.instance.note_pids(self._processes.table())
        roles = (name,) if name == SIM else self.plan.shard(name).roles
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        is_told = False
        for role in roles:
            life = self._lifecycle.roles.get(role)
            if life is None:
                continue
            was_wanted = life.state not in (RoleState.STOPPED, RoleState.FAILED)
            consequence = self._lifecycle.on_died(role, now_ns, is_config=code == EXIT_CONFIG)
            if not was_wanted:
                continue
            sentence = self._why(name, role) if code > 0 else ""
            if not is_told or name == role:
                is_told = True
                self._log.error("role died", name=role if len(roles) == 1 else name, how=how, why=sentence)
                self._keep_traceback(name)
            if consequence == Consequence.CANCEL_OURS:
                self._ports.on_orders_at_risk(role)
            elif consequence == Consequence.END_SESSION:
                self._ports.on_give_up(f"{role if len(roles) == 1 else name} gave up: {sentence or how}")

    def _why(self, shard: str, role: str) -> str:
        """One sentence: the role's own, or the last one that its process said."""
        own = text_of(self._reader.metrics(role).failure) if role != SIM else ""
        return own or self._processes.last_words(shard)

    def _keep_traceback(self, shard: str) -> None:
        """For who reads the code: into the log file, never onto the user's screen."""
        said = self._processes.said(shard)
        if "Traceback" in said:
            self._ports.file.note(time.time_ns(), Level.ERROR, shard, {"text": "its traceback", "traceback": said})

    # -- told, and sent away ---------------------------------------------------------------------------------

    def tell(self, kind: int, text: str, kinds: tuple[str, ...], generation: int = 0) -> int:
        """Tells every role of these kinds. Returns how many could be told."""
        told = 0
        self._control_number += 1
        for role in self.plan.roles:
            if role.kind not in kinds:
                continue
            producer = self._controls[role.name]
            slot = producer.try_claim()
            if slot is None:
                self._log.error("a role does not read its control ring", name=role.name)
                continue
            clear(slot, "control")
            slot.header.sequence = producer.sequence()
            slot.header.kind = kind
            slot.generation = generation
            put_text(slot.text, text)
            producer.commit()
            told += 1
        return told

    def deaths(self) -> dict[str, int]:
        """How often each role died, where it did."""
        return {life.name: life.deaths for life in self._lifecycle.roles.values() if life.deaths}

    async def leave(self, leave_s: float) -> None:
        """Every role but the simulated exchange leaves, in order of the flow."""
        order = self._lifecycle.stop_order()
        shards = list(dict.fromkeys(self.plan.shard_of(name).name for name in order))
        journal = {self.plan.shard_of(role.name).name for role in self.plan.of_kind("journal")}
        for name in order:
            self._lifecycle.on_stop(name, self._monotonic_ns())
        # All but the journal writer at once: a role that sees its neighbour gone first would take it for a death. The
        # journal writer then finds everything that they said.
        for group in ([name for name in shards if name not in journal], [name for name in shards if name in journal]):
            for name in group:
                self._processes.terminate(name)
            await self._wait_gone(tuple(group), leave_s)
            for name in group:
                if self._processes.is_alive(name):
                    self._log.warning("role did not leave in time; it is killed", name=name)
                    self._processes.kill(name)
            await self._wait_gone(tuple(group), KILL_TIME_S)

    async def end_exchange(self, time_s: float) -> None:
        """The simulated exchange leaves, if there is one."""
        if self._processes.is_alive(SIM):
            self._lifecycle.on_stop(SIM, self._monotonic_ns())
            self._processes.terminate(SIM)
            await self._wait_gone((SIM,), time_s)

    async def _wait_gone(self, names: tuple[str, ...], time_s: float) -> None:
        deadline = time.monotonic() + time_s
        while any(self._processes.is_alive(name) for name in names) and time.monotonic() < deadline:
            await asyncio.sleep(REAP_S)
            for name, code in self._processes.reap():
                self._on_death(name, code)
            self.move_log()
