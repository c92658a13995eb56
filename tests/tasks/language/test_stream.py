"""Streams: rows go on from segment to segment, and evaluation counts every token once."""
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxmp.tasks.language.stream import TrainingStream, evaluation_segments

END = 1
SENTENCES = st.lists(st.lists(st.integers(2, 99), max_size=6), min_size=1, max_size=20)


def rows_of(segments, what):
    """The segments' arrays side by side."""
    return np.concatenate([getattr(segment, what).asnumpy() for segment in segments], axis=1)


@settings(deadline=None, max_examples=30)
@given(SENTENCES, st.integers(1, 4), st.integers(1, 5))
def test_unshuffled_training_rows_read_on_are_the_text(sentences, batch_size, bptt):
    text = [END, *chain.from_iterable([*sentence, END] for sentence in sentences)]
    if len(text) - 1 < batch_size * bptt:
        with pytest.raises(ValueError, match="tokens of training text are fewer than"):
            TrainingStream(sentences, END, batch_size, bptt, shuffle=False)
        return
    stream = TrainingStream(sentences, END, batch_size, bptt, shuffle=False)
    segments = list(stream.epoch(0))
    length = (len(text) - 1) // (batch_size * bptt) * bptt
    assert len(segments) == len(stream) and sum(s.num_tokens for s in segments) == batch_size * length
    assert rows_of(segments, "tokens").ravel().tolist() == text[:batch_size * length]
    assert rows_of(segments, "labels").ravel().tolist() == text[1:batch_size * length + 1]
    assert all(segment.valid_length.asnumpy().tolist() == [bptt] * batch_size for segment in segments)


def test_each_epoch_has_an_order_of_its_own_that_can_be_gone_on_with():
    sentences = [[i] * 3 for i in range(2, 30)]
    stream = TrainingStream(sentences, END, 2, 4, seed=3)
    first, second, again = (rows_of(stream.epoch(k), "tokens") for k in (0, 1, 0))
    assert (first == again).all() and (first != second).any()
    assert (rows_of(stream.epoch(1, start=3), "labels") == rows_of(list(stream.epoch(1))[3:], "labels")).all()
    assert (rows_of(TrainingStream(sentences, END, 2, 4, seed=4).epoch(0), "tokens") != first).any()


@settings(deadline=None, max_examples=30)
@given(SENTENCES, st.integers(1, 5), st.integers(1, 4))
def test_evaluation_counts_every_token_once_and_rows_begin_with_sentences(sentences, batch_size, bptt):
    segments = evaluation_segments(sentences, END, batch_size, bptt)
    tokens, labels = rows_of(segments, "tokens"), rows_of(segments, "labels")
    lengths = sum(segment.valid_length.asnumpy() for segment in segments)
    assert sum(segment.num_tokens for segment in segments) == lengths.sum()
    counted = [row[:length].tolist() for row, length in zip(labels, lengths)]
    assert list(chain.from_iterable(counted)) == list(chain.from_iterable([*s, END] for s in sentences))
    for row, label in zip(tokens, counted):
        assert row[0] == END and row[1:len(label)].tolist() == label[:-1] and (not label or label[-1] == END)
