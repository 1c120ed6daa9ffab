"""Facts about the host are sentences with a remedy."""

from reactor.config.host import Judgement, facts, parse_cores, this_host


def test_the_kernels_list_form_is_read():
    assert parse_cores("0-2,5\n") == (0, 1, 2, 5)
    assert parse_cores("\n") == ()


def test_this_process_may_run_somewhere():
    assert this_host().cores


def test_every_fact_that_is_not_good_has_a_remedy():
    found = facts()
    assert len(found) >= 9
    assert all(fact.remedy for fact in found if fact.judgement is not Judgement.GOOD)
