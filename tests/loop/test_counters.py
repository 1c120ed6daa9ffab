"""Counters, spans and the published row."""

from reactor.domain.messages import LifeState, Stage, new, text_of
from reactor.loop.counters import SPAN_STAGES, Metrics, Span


class OneRow:
    def __init__(self) -> None:
        self.view = new("metrics")
        self.done_count = 0

    def edit(self, index: int) -> object:
        return self.view

    def done(self, index: int) -> None:
        self.done_count += 1


class Values:
    def __init__(self) -> None:
        self.values: list[int] = []

    def record(self, value: int) -> None:
        self.values.append(value)


def test_counts_are_private_until_published():
    row = OneRow()
    metrics = Metrics(row)
    metrics.count(3)
    metrics.count(3, 4)
    assert row.view.counters[3] == 0
    metrics.publish()
    assert row.view.counters[3] == 5


def test_a_failure_is_a_sentence_in_the_row():
    metrics = Metrics()
    metrics.fail("the journal cannot be written")
    assert metrics.view.life_state == LifeState.FAILED
    assert text_of(metrics.view.failure) == "the journal cannot be written"


def test_a_span_is_recorded_only_if_both_stages_were_passed():
    histograms = [Values() for _ in Span]
    metrics = Metrics(histograms=histograms)
    stages = [0] * Stage.COUNT
    stages[Stage.RECEIVE], stages[Stage.SEND] = 100, 350
    metrics.record_stages(stages, [Span.INTERNAL, Span.SEND_TO_ACK])
    assert histograms[Span.INTERNAL].values == [250]
    assert histograms[Span.SEND_TO_ACK].values == []


def test_every_span_has_its_two_stages_in_order():
    assert len(SPAN_STAGES) == len(Span)
    assert all(first < last for first, last in SPAN_STAGES)
