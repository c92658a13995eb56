"""What layers really keep: a program of its own measures how much memory grows with every recorded call."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "helpers" / "kept.py"


@pytest.fixture(scope="module")
def measured():
    """By case, the numbers that a call keeps and those that the formula says."""
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", ["LSTMLayer", "LSTMLayer, many rows", "LSTMLayer, dropout", "BidirectionalLSTM",
                                  "ContextLSTM", "ContextLSTM, dropout", "Residual", "SequenceEmbedding",
                                  "MaskedAttention", "AttentionalOutput", "Projection", "LabelSmoothedLoss",
                                  "ShardedSoftmaxLoss", "SoftmaxCrossEntropyLoss", "Dense", "Dropout", "LayerNorm",
                                  "Embedding", "TimeFirst", "LSTM", "LSTM of two layers, both ways", "StackedLSTM",
                                  "LSTMLayer, batch first", "LSTMLayer, batch first, dropout",
                                  "BidirectionalLSTM, batch first", "ContextLSTM, batch first", "LSTM, batch first",
                                  "StackedLSTM, batch first", "RecurrentLayer", "RecurrentLayer, GRU both ways",
                                  "RecurrentLayer, dropout and residual", "StackedLSTM, dropout and residual", "GRU",
                                  "RNN"])
def test_a_layer_keeps_what_the_formula_says(measured, case):
    kept, expected = measured[case]
    assert kept == pytest.approx(expected, rel=0.03)
