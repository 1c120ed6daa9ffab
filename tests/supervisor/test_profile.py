"""Roles are found in the processes that host them."""

import pytest

from reactor.domain.errors import ConfigError
from reactor.supervisor.profile import pids_of

TABLE = [("journal", 10), ("feed-0+collector+prepost+engine", 11)]


def test_roles_that_share_a_process_are_looked_at_once():
    assert pids_of(["prepost", "engine"], TABLE) == {"feed-0+collector+prepost+engine": 11}


def test_a_role_that_does_not_run_is_named_with_those_that_do():
    with pytest.raises(ConfigError, match=r"feed-7.*collector"):
        pids_of(["feed-7"], TABLE)
