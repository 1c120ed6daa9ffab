"""What an operator may ask of a running session, from another terminal: one answer each, one sentence long.

    status  stop  cancel-all  halt  reduce-only  resume  reload  check-books

The socket is control.py's; the session does what is asked.
"""

import asyncio
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from reactor.domain.messages import ControlKind, KillSwitch
from reactor.supervisor.cancel_all import Confirmation, cancel_ours
from reactor.supervisor.control import Answer

if TYPE_CHECKING:
    from reactor.supervisor.session import Session

EFFECT_S = 0.3  # Prepost takes a control message within milliseconds; a busy host gets more.
BOOK_CHECK_S = 15.0  # A feed gives a comparison ten.
POLL_S = 0.02
KILL_SWITCH_COMMANDS = {"halt": ControlKind.HALT, "reduce-only": ControlKind.REDUCE_ONLY, "resume": ControlKind.RESUME}


class OperatorRequests:
    """Answers for one session."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def answer(self, request: dict[str, Any]) -> Answer:
        """One request of the control socket. A ConfigError becomes the answer there."""
        session = self._session
        command = request.get("command")
        match command:
            case "status":
                return {"ok": True, "text": session.state, "data": self._status()}
            case "stop":
                flatten = bool(request.get("flatten"))
                session.ask_stop("stop --flatten" if flatten else "stop", flatten)
                return {"ok": True, "text": "stopping", "data": {"pid": os.getpid()}}
            case "cancel-all":
                session.tell(ControlKind.CANCEL_ALL, "operator", ("prepost",))
                await asyncio.sleep(EFFECT_S)
                answer = await cancel_ours(session.desks)
                return {"ok": answer.is_clean, "text": _confirmation_text(answer)}
            case "halt" | "reduce-only" | "resume":
                told = session.tell(KILL_SWITCH_COMMANDS[command], "operator", ("prepost",))
                await asyncio.sleep(EFFECT_S)
                switch = KillSwitch(session.reader.risk().kill_switch).name
                return {"ok": told > 0, "text": f"kill switch: {switch}"}
            case "reload":
                return self._reload()
            case "check-books":
                return await self._check_books(str(request.get("instrument") or ""))
            case _:
                return {"ok": False, "text": f"unknown command {command!r}"}

    async def _check_books(self, instrument: str) -> Answer:
        """Lets the feeds compare their books with fresh snapshots of the venue. `instrument` is "" for all."""
        session = self._session
        known = [each.name for each in session.plan.instruments]
        if instrument and instrument not in known:
            return {"ok": False, "text": f"there is no {instrument!r} here; there are {', '.join(known)}"}
        wanted = 1 if instrument else len(known)
        before = self._book_checks()
        session.tell(ControlKind.CHECK_BOOK, instrument, ("feed",))
        deadline = time.monotonic() + BOOK_CHECK_S
        passed = failed = unknown = 0
        while passed + failed + unknown < wanted and time.monotonic() < deadline and not session.is_stopping:
            await asyncio.sleep(POLL_S)
            passed, failed, unknown = (now - then for now, then in zip(self._book_checks(), before, strict=True))
        text = f"{passed} of {wanted} books equal the venue's"
        if failed:
            text += f", {failed} differed and are fetched anew (the log says where)"
        if passed + failed < wanted:
            text += f", {wanted - passed - failed} could not be compared in time"
        return {"ok": passed == wanted, "text": text}

    def _book_checks(self) -> tuple[int, int, int]:
        """Checks passed, failed and without an end, of all feeds so far."""
        session = self._session
        rows = [session.reader.counters(role.name, role.kind) for role in session.plan.of_kind("feed")]
        names = ("checks_passed", "checks_failed", "checks_open_ended")
        passed, failed, unknown = (sum(row.get(name, 0) for row in rows) for name in names)
        return passed, failed, unknown

    def _reload(self) -> Answer:
        """Risk and strategy parameters of a changed config, without restart; refused as a whole if anything is wrong."""
        session = self._session
        config = session.read_config()
        if config is None:
            return {"ok": False, "text": "this session was started without a config file"}
        fixed = ("exchanges", "system")
        changed = [name for name in fixed if getattr(config, name) != getattr(session.config, name)]
        if changed:
            return {
                "ok": False,
                "text": f"only risk_control and strategy can be reloaded; {' and '.join(changed)} changed: restart",
            }
        for name in ("pairs", "external", "hosted", "live_bots"):
            if getattr(config.strategy, name, None) != getattr(session.config.strategy, name, None):
                return {"ok": False, "text": f"strategy.{name} changed: processes, links and books are made at start; restart"}
        told = session.take_config(config)
        return {"ok": True, "text": f"reloaded as generation {session.plan.generation}; {told} roles told"}

    def _status(self) -> dict[str, Any]:
        session = self._session
        picture = session.reader.picture(time.monotonic_ns())
        return {
            "instance": session.config.system.instance,
            "profile": session.config.profile,
            "pid": os.getpid(),
            "state": session.state,
            "kill_switch": picture.kill_switch,
            "risk": picture.risk,
            "roles": [asdict(role) for role in picture.roles],
            "books": [asdict(top) for top in picture.tops],
            "positions": [asdict(row) for row in picture.positions],
            "latency_us": {stage: row.json() for stage, row in picture.latency_us.items()},
            "restarts": session.deaths(),
            "log": str(session.log_path),
        }


def _confirmation_text(answer: Confirmation) -> str:
    if answer.problems:
        return "not confirmed: " + "; ".join(answer.problems)
    foreign = f"; {len(answer.foreign)} of somebody else untouched" if answer.foreign else ""
    return f"{answer.cancelled} cancelled, {len(answer.ours)} of ours still open{foreign}"
