"""A glance reads what the next decision would read; nobody can tell afterwards that there was one."""

from collections.abc import Callable
from pathlib import Path

from prepost_room import SPOT, Room, test_parameters

from reactor.domain.messages import bytes_of
from reactor.prepost.counters import Counter
from reactor.prepost.risk import RISK_RULES


class LookingRoom(Room):
    """Glances before every pass."""

    def turn(self, count: int = 1, ms: float = 1.0) -> None:
        for _ in range(count):
            self.role.glance()
            self.role.glance()
            super().turn(1, ms)


def two_round_trips(room: Room) -> tuple[list[bytes], list[bytes], list[int], int]:
    """Commands, journal, counters, and how many pairs were closed."""
    room.start_trading()
    for _ in range(2):
        room.open()
        room.settle()
        room.close()
        room.settle()
    journal = [bytes(bytes_of(entry, "journal")) for entry in room.journal]
    commands = [bytes(bytes_of(command, "command")) for command in room.venue.commands]
    return commands, journal, [room.metrics.get(counter) for counter in Counter], room.desk.pairs_closed


def test_a_room_that_glances_before_every_pass_does_what_one_does_that_never_glances() -> None:
    plain, looked = two_round_trips(Room()), two_round_trips(LookingRoom())
    assert plain[3] == 2
    assert len(plain[1]) > 10
    assert looked == plain


def test_a_glance_writes_nothing_and_reserves_nothing(room: Room) -> None:
    counters = [room.metrics.get(counter) for counter in Counter]
    for _ in range(4):
        room.role.glance()
    quota = room.desk.quota
    assert [room.commands_out.free(lane) for lane in (0, 1)] == [1024, 1024]
    assert [room.metrics.get(counter) for counter in Counter] == counters
    assert not room.desk.orders.unsettled
    assert not room.desk.kill_switch.state
    assert all(each.pending_orders == each.capital_e8 == each.buy_lots == each.sell_lots == 0 for each in quota.of)
    assert not any(quota.claimed.values())


def test_a_users_rule_is_not_asked_by_a_glance(make_room: Callable[..., Room], tmp_path: Path) -> None:
    file, asked = tmp_path / "rule.py", tmp_path / "asked"
    file.write_text(
        "from reactor.prepost.risk import RiskRule, risk_rule\n"
        "@risk_rule\n"
        "class Asked(RiskRule):\n"
        "    name = 'asked'\n"
        "    checks_order = True\n"
        "    def check(self, decision):\n"
        f"        with open({str(asked)!r}, 'a') as file:\n"
        "            file.write('asked ')\n"
        "        return 0\n"
    )
    default = test_parameters().risk.rules
    room = make_room(test_parameters(risk={"rules": (*default, "asked"), "rule_files": (str(file),)}))
    try:
        room.start_trading()
        room.role.glance()
        assert not asked.exists()
        room.open()
        room.turn()
        assert asked.read_text() == "asked "
    finally:
        RISK_RULES.pop("asked", None)


def test_a_glance_without_books_is_harmless(make_room: Callable[..., Room]) -> None:
    room = make_room()
    room.top(SPOT, 0, 0)
    room.role.glance()
    assert not room.desk.orders.unsettled
