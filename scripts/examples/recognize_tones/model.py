"""The recognizer as a chain."""
from __future__ import annotations

import mxnet as mx

from mxmp import nn


def tones_chain(num_classes: int, input_size: int, hidden_size: int = 48, num_layers: int = 2,
                dropout: float = 0.1) -> nn.Chain:
    """Bidirectional LSTM layers over the frames, an LSTM layer of twice their width over these, which drops a share of
    what it reads (one mask per sequence), and scores for every frame.

    Frames (N, T, F) and the number of frames of each sequence (N,) become scores (N, T, C) of the symbols and the
    blank, not normalised; those behind a sequence's end mean nothing.
    """
    chain, width = nn.Chain(prefix="tones_"), input_size
    with chain.name_scope():
        chain.add_named("time_first", nn.Select(nn.TimeFirst(), (0,), (1,)))  # (T, N, F), num_frames
        for i in range(num_layers):
            layer = nn.BidirectionalLSTM(hidden_size, input_size=width, prefix=f"bidirectional_{i}_")
            last = i == num_layers - 1
            chain.add_named(f"bidirectional_{i}", nn.Select(layer, (0, 1), () if last else (1,)))  # (T, N, 2H)
            width = 2 * hidden_size
        chain.add_named("lstm", nn.LSTMLayer(width, dropout, width, prefix="lstm_"))  # (T, N, 2H)
        chain.add_named("batch_first", nn.TimeFirst())  # (N, T, 2H)
        chain.add_named("output", mx.gluon.nn.Dense(num_classes, flatten=False, in_units=width, prefix="output_"))
    return chain
