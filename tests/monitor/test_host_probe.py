"""The host's figures: what they mean for a role, that they survive a file, and that the probes measure something."""

import os

import pytest

from reactor.config.placement import Place
from reactor.domain.errors import ConfigError
from reactor.loop.wait import WaitPolicy
from reactor.monitor.host_probe import CoreFigures, Figures, Spread, hops_of, measure
from reactor.monitor.host_report import change_of, load_figures, verdict

HOT = ("feed-0", "collector", "prepost", "engine")
CORES = (
    CoreFigures(2, 0.5, 10.0, Spread(6_000, 20_000, 90_000)),
    CoreFigures(3, 1.5, 30.0, Spread(6_000, 40_000, 250_000)),
)
FIGURES = Figures(2.0, 40, Spread(25_000, 80_000, 400_000), Spread(400, 900, 5_000), CORES, {"isolated cores": "none"})


def places(policy=WaitPolicy.BLOCK, cores=(None,) * 4):
    return [Place(role, (role,), core, policy, "") for role, core in zip(HOT, cores, strict=True)]


def test_a_role_that_sleeps_pays_a_wake_up_and_one_that_spins_a_hop():
    asleep = FIGURES.of_role(places()[0], "any core")
    awake = FIGURES.of_role(places(WaitPolicy.SPIN, (2, 3, 2, 3))[0], "core 2")
    assert (asleep.input_now, asleep.input_now_p99, asleep.input_tuned) == (25_000, 80_000, 400)
    assert (awake.input_now, awake.input_now_p99, awake.input_tuned) == (400, 900, 400)


def test_a_pinned_role_loses_what_its_own_core_loses_and_any_other_the_worst():
    pinned = FIGURES.of_role(places(cores=(2, 3, 2, 3))[0], "core 2")
    anywhere = FIGURES.of_role(places()[0], "any core")
    assert (pinned.worst_gap, pinned.taken_permille) == (90_000, 0.5)
    assert (anywhere.worst_gap, anywhere.taken_permille) == (250_000, 1.5)


def test_a_decision_hops_between_processes_and_not_inside_of_one():
    assert hops_of([*places(), Place("journal", ("journal",), None, WaitPolicy.BLOCK, "")]) == 3
    assert hops_of([Place("all", HOT, None, WaitPolicy.BLOCK, "")]) == 0


def test_the_verdict_says_what_a_tuned_host_would_gain():
    assert "3 times" in verdict(places(), FIGURES)
    assert "74 µs per decision" in verdict(places(), FIGURES)
    assert "share one process" in verdict([Place("all", HOT, None, WaitPolicy.BLOCK, "")], FIGURES)


def test_figures_come_back_from_their_file_and_nothing_else_is_taken_for_one(tmp_path):
    path = tmp_path / "before.json"
    path.write_text(FIGURES.to_json())
    assert load_figures(path) == FIGURES
    for text in ("{}", "not json", '{"seconds": 1}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match="not a file of"):
            load_figures(path)


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [(100.0, 50.0, "2.0 × better"), (50.0, 100.0, "2.0 × worse"), (100.0, 98.0, "equal"), (None, 3.0, ""), (5.0, 0.0, "gone")],
)
def test_a_change_is_told_by_its_ratio(then, now, words):
    assert change_of(then, now) == words


def test_the_probes_measure_this_host():
    cores = sorted(os.sched_getaffinity(0))[:2]
    figures = measure(cores, 0.05, {"a": "b"})
    assert [each.core for each in figures.cores] == cores
    assert figures.wake_ns.p50 > 0
    assert figures.clock_ns > 0
    assert (figures.hop_ns is not None) == (len(cores) == 2)
    assert all(each.taken_permille >= 0.0 for each in figures.cores)
