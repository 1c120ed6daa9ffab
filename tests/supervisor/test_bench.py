"""Two runs are compared by ratio, each number in its own direction."""

from reactor.supervisor.bench import PROGRAMS, ROOT, regressions

BEFORE = {"one_way_ns": {"ring": {"p50": 400, "p99": 900}}, "messages_per_s": {"batch": 20e6}, "seed": 1}


def test_equal_runs_have_no_regression():
    assert regressions(BEFORE, BEFORE) == []


def test_a_latency_is_worse_upwards_and_a_rate_downwards():
    after = {"one_way_ns": {"ring": {"p50": 600, "p99": 300}}, "messages_per_s": {"batch": 10e6}, "seed": 9}
    assert [path for path, _, _ in regressions(BEFORE, after)] == ["one_way_ns.ring.p50", "messages_per_s.batch"]


def test_every_program_is_there_and_gives_its_numbers_to_programs() -> None:
    for name, (program, how) in PROGRAMS.items():
        source = (ROOT / program.split()[0]).read_text()
        assert how in ("stdout", "file"), name
        assert "--json" in source, name
