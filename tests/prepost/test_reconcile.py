"""Ours against the venue's: each disagreement has its rule, and applying the rules leaves none."""

import pytest

from reactor.prepost.reconcile import Difference, Own, OwnOrder, Rule, Subject, Venue, VenueOrder, differences, is_agreed


def own(*orders: OwnOrder, positions=None, balances=None, is_first_start=False, pairs=()) -> Own:
    return Own({order.order_id: order for order in orders}, positions or {}, balances or {}, is_first_start, pairs)


def only(found: tuple[Difference, ...]) -> Difference:
    assert len(found) == 1, found
    return found[0]


OURS = OwnOrder(7, "ct7", 0, is_closed=False, filled_lots=2)


def test_agreement_finds_nothing():
    found = differences(
        own(OURS, positions={1: -2}, balances={"USDT": 5}),
        Venue([VenueOrder("ct7", 7, 0, 2)], {1: -2}, {"USDT": 5}),
    )
    assert found == ()
    assert is_agreed(found)


@pytest.mark.parametrize(
    ("ours", "theirs", "rule"),
    [
        pytest.param(OURS, VenueOrder("ct7", 7, 0, 3), Rule.BOOK, id="the venue counts more fills"),
        pytest.param(OwnOrder(7, "ct7", 0, True, 2), VenueOrder("ct7", 7, 0, 2), Rule.CANCEL, id="open there, closed here"),
        pytest.param(None, VenueOrder("ct9", 9, 0, 0), Rule.CANCEL, id="ours, never heard of"),
        pytest.param(None, VenueOrder("web_1", 0, 0, 0), Rule.REPORT, id="foreign"),
        pytest.param(OURS, None, Rule.QUERY, id="live here, not open there"),
        pytest.param(OwnOrder(7, "ct7", 0, True, 2), None, Rule.BOOK, id="closed here with fills missing"),
    ],
)
def test_every_disagreement_about_an_order_has_its_rule(ours, theirs, rule):
    found = differences(own(*([ours] if ours else [])), Venue([theirs] if theirs else [], {}, {}))
    assert only(found).rule == rule
    assert only(found).subject == Subject.ORDER
    assert is_agreed(found) is (rule == Rule.REPORT)


def test_an_unexplained_futures_position_halts():
    assert only(differences(own(positions={1: 0}), Venue([], {1: 3}, {}))).rule == Rule.HALT


def test_a_position_at_a_first_start_is_adopted_only_if_configured():
    first = own(is_first_start=True)
    venue = Venue([], {1: 3}, {})
    assert only(differences(first, venue)).rule == Rule.HALT
    assert only(differences(first, venue, adopts_positions=True)).rule == Rule.ADOPT


def test_balances_at_a_first_start_become_the_baseline():
    found = differences(own(is_first_start=True), Venue([], {}, {"USDT": 5, "BTC": 0}))
    assert (only(found).rule, only(found).asset, only(found).theirs) == (Rule.ADOPT, "USDT", 5)


def test_a_balance_that_differs_by_one_unit_halts_unless_tolerated():
    ours, venue = own(balances={"USDT": 100}), Venue([], {}, {"USDT": 101})
    assert only(differences(ours, venue)).rule == Rule.HALT
    assert differences(ours, venue, tolerance_e8=1) == ()


def test_an_asset_that_one_side_does_not_list_counts_as_zero():
    assert only(differences(own(balances={"BNB": 4}), Venue([], {}, {}))).theirs == 0


def test_unmatched_legs_of_a_pair_do_not_stop_the_start_but_are_worked_on():
    found = differences(own(pairs=((0, -2), (1, 0))), Venue([], {}, {}))
    assert only(found).rule == Rule.UNWIND
    assert is_agreed(found)


def test_the_gravest_comes_last():
    found = differences(own(OURS, positions={1: 1}), Venue([VenueOrder("web", 0, 0, 0)], {}, {}))
    assert [difference.rule for difference in found] == [Rule.REPORT, Rule.QUERY, Rule.HALT]


def test_comparing_twice_changes_nothing():
    ours = own(OURS, positions={1: 1}, balances={"USDT": 1})
    venue = Venue([VenueOrder("ct9", 9, 0, 0)], {1: 2}, {"USDT": 2})
    assert differences(ours, venue) == differences(ours, venue)
