"""The learning rate: its corners and its shape."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxmp.tasks.learning_rate import cosine_rate


@pytest.mark.parametrize("step, rate", [(0, 0.02), (4, 0.1), (5, 0.1), (25, 0.05), (44, 0.1 * 0.00154133)])
def test_it_rises_to_its_highest_and_falls_along_a_cosine(step, rate):
    assert cosine_rate(step, 45, 0.1, 5) == pytest.approx(rate, rel=1e-4)


@given(st.integers(1, 200), st.integers(0, 400))
def test_it_rises_then_falls_and_stays_in_range(total, warmup):
    rates = [cosine_rate(step, total, 1.0, warmup) for step in range(total)]
    top = rates.index(max(rates))
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[:top + 1] == sorted(rates[:top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == 1.0
