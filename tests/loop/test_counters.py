"""Counters, spans and the published row."""

from reactor.domain.messages import WAY, LifeState, Stage, bytes_of, new, text_of
from reactor.loop.counters import SPAN_STAGES, Metrics, Span
from shm.histogram import heap_histograms


class OneRow:
    def __init__(self) -> None:
        self.view = new("metrics")
        self.done_count = 0

    def edit(self, index: int) -> object:
        return self.view

    def done(self, index: int) -> None:
        self.done_count += 1


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
    histograms = heap_histograms(len(Span))
    record = Metrics(histograms=histograms).spans_recorder([Span.RECEIVE_TO_SIGNAL, Span.SEND_TO_ACK, Span.ACK_TO_REPORT])
    assert record is not None
    message = new("report")
    stages = message.header.stage_ns
    stages[Stage.RECEIVE], stages[Stage.SIGNAL], stages[Stage.ACK] = 100, 350, 900
    record(bytes_of(message, "report")[WAY], 1_000)
    assert (histograms[Span.RECEIVE_TO_SIGNAL].count, histograms[Span.RECEIVE_TO_SIGNAL].max) == (1, 250)
    assert (histograms[Span.ACK_TO_REPORT].count, histograms[Span.ACK_TO_REPORT].max) == (1, 100)
    assert histograms[Span.SEND_TO_ACK].count == 0, "it was never sent, as far as we know"
    assert histograms[Span.INTERNAL].count == 0, "nobody asked for it"


def test_without_histograms_nobody_records_spans():
    assert Metrics().spans_recorder([Span.SEND_TO_ACK]) is None


def test_every_span_has_its_two_stages_in_order():
    assert len(SPAN_STAGES) == len(Span)
    assert all(first < last for first, last in SPAN_STAGES)
