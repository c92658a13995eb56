"""The recognizer as a chain."""
from __future__ import annotations

import mxnet as mx

from mxmp import nn


def tones_chain(num_classes: int, input_size: int, hidden_size: int = 48, num_layers: int = 2,
                dropout: float = 0.1) -> nn.Chain:
    """Bidirectional LSTM layers over the frames, an LSTM layer over these, and scores for every frame.

    Parameters
    ----------
    num_classes : int
        Symbols and the blank, C.
    input_size : int
        Width F of the frames.
    hidden_size : int
        Width H of each direction; the upper LSTM layer has 2H.
    num_layers : int
        Bidirectional layers, at least 1.
    dropout : float
        Share dropped of what the LSTM layer reads, one mask per sequence.

    Returns
    -------
    Chain
        It takes frames (N, T, F) and the number of frames of each sequence (N,), and gives scores (N, T, C), not
        normalised; those behind a sequence's end mean nothing.
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
