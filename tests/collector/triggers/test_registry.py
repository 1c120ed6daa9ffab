"""Triggers by name, and what is said when a user's file is not what it should be."""

from pathlib import Path

import pytest

from reactor.collector.triggers.registry import BUILT_IN, TriggersParameters, UserTrigger, plan_triggers
from reactor.collector.triggers.trigger import TriggerContext
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments

CONTEXT = TriggerContext(Instruments([]), ((0, 1), (2, 3)))
GOOD = """
from reactor.collector.triggers.trigger import Binding, Trigger
from reactor.domain.messages import SignalType

class Good(Trigger):
    name = "good"
    signal_type = SignalType.USER
    instrument_index = -1
    def __init__(self, context, limit=1.0):
        self.limit = limit
    def bindings(self):
        return (Binding(self.signal_type, self.instrument_index),)
    def evaluate(self, signals, now_ns):
        return 0
    def write(self, event, signals):
        pass

class Incomplete(Trigger):
    def bindings(self):
        return ()

class Other:
    pass

class Silent(Good):
    def bindings(self):
        return ()

class Lost(Good):
    instrument_index = 7

class Strange(Good):
    signal_type = 64

class Loud(Good):
    priority = 5

class Broken(Good):
    def bindings(self):
        raise KeyError("x")
"""


def test_every_built_in_trigger_has_a_name_and_pairs_have_one_each() -> None:
    planned = plan_triggers(TriggersParameters(names=tuple(BUILT_IN)), CONTEXT)
    names = [each.trigger.name for each in planned]
    assert set(names) == set(BUILT_IN)
    assert names.count("mt") == names.count("mt_close") == 2
    assert [each.trigger.pair_id for each in planned if each.trigger.name == "mt"] == [0, 1]


def test_a_users_trigger_gets_its_parameters(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    planned = plan_triggers(
        TriggersParameters(names=("hedge",), users=(UserTrigger(str(file), "Good", {"limit": 3}),)), CONTEXT
    )
    assert [(each.trigger.name, each.index, each.is_user) for each in planned] == [("hedge", 0, False), ("good", 1, True)]
    assert planned[1].trigger.limit == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("class_name", "parameters", "sentence"),
    [
        pytest.param("Missing", {}, r"no such class in this file; it has .*Good", id="no such class"),
        pytest.param("Other", {}, r"must be a subclass of .*Trigger", id="wrong interface"),
        pytest.param("Incomplete", {}, "does not define evaluate, write", id="incomplete"),
        pytest.param("Good", {"limits": 3}, "cannot be made with limits=3", id="unknown parameter"),
        pytest.param("Silent", {}, "names no signal", id="no bindings"),
        pytest.param("Lost", {}, "no instrument 7", id="no such instrument"),
        pytest.param("Strange", {}, "no signal type 64", id="no such signal"),
        pytest.param("Loud", {}, "priority must be", id="no such priority"),
        pytest.param("Broken", {}, "bindings\\(\\) failed: KeyError", id="bindings raise"),
    ],
)
def test_a_class_that_will_not_do_is_told_in_one_sentence(
    tmp_path: Path, class_name: str, parameters: dict[str, int], sentence: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    with pytest.raises(ConfigError, match=sentence) as raised:
        plan_triggers(TriggersParameters(users=(UserTrigger(str(file), class_name, parameters),)), CONTEXT)
    assert str(file) in str(raised.value)
    assert len(raised.value.problems) == 1


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_that_name\n")
    text = tmp_path / "notes.txt"
    text.write_text("no Python")
    users = tuple(UserTrigger(str(file), "Mine") for file in (tmp_path / "absent.py", broken, text))
    with pytest.raises(ConfigError) as raised:
        plan_triggers(TriggersParameters(names=("mt", "mt", "magic"), users=users), CONTEXT)
    problems = "\n".join(raised.value.problems)
    assert len(raised.value.problems) == 5
    for sentence in ("stands twice", "no trigger is called 'magic'", "no such file", "cannot be loaded", "must end with .py"):
        assert sentence in problems
