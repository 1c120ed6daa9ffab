"""Stages are composed by name; a stage of the user's own is one file."""

from pathlib import Path

import pytest
from prepost_room import PERP, Room, test_parameters

from reactor.domain.errors import ConfigError
from reactor.domain.messages import Reason
from reactor.prepost.parameters import PipelineParameters
from reactor.prepost.pipeline import POST_STAGES, PRE_STAGES

STAGES = """
from reactor.prepost.pipeline import PostStage, PreStage, post_stage, pre_stage

@pre_stage
class Quiet(PreStage):
    name = "quiet"
    runs_on_fast_path = False

    def run(self, decision):
        return 26


@post_stage
class Listen(PostStage):
    name = "listen"
    seen = []

    def run(self, outcome):
        self.seen.append(outcome.fill_lots)
        return 0
"""


def test_the_ten_stages_are_registered_under_their_names():
    parameters = PipelineParameters()
    assert set(parameters.pre) <= set(PRE_STAGES)
    assert set(parameters.post) <= set(POST_STAGES)
    assert (len(parameters.pre), len(parameters.post)) == (5, 5)


def test_a_users_stage_stops_the_chain_with_its_reason_but_not_on_the_fast_path(tmp_path: Path):
    (tmp_path / "stages.py").write_text(STAGES)
    default = PipelineParameters()
    pipeline = PipelineParameters(
        pre=("quiet", *default.pre), post=(*default.post, "listen"), stage_files=(str(tmp_path / "stages.py"),)
    )
    room = Room(test_parameters())
    room.start_trading()
    room.open()
    room.settle()
    room.loaded[2] = lambda: test_parameters(pipeline=pipeline)
    room.control(4, 2)
    room.order(1, 200, 6_499_000)
    room.settle()
    assert room.refusals() == [Reason.STAGE_REFUSED]
    room.close()
    room.settle()
    assert room.venue.positions[PERP] == 0, "closing is the fast path"
    assert 2 in POST_STAGES["listen"].seen


def test_an_unknown_stage_says_which_there_are():
    with pytest.raises(ConfigError, match=r"no pre stage 'no_such'.*signal_age_check"):
        Room(test_parameters(pipeline=PipelineParameters(pre=("no_such",))))


def test_a_file_that_raises_is_named(tmp_path: Path):
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(ConfigError, match=r"broken\.py: ZeroDivisionError"):
        Room(test_parameters(pipeline=PipelineParameters(stage_files=(str(tmp_path / "broken.py"),))))


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"missing\.py"):
        Room(test_parameters(pipeline=PipelineParameters(stage_files=(str(tmp_path / "missing.py"),))))
