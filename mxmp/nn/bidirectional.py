"""A bidirectional LSTM layer whose backward direction starts at each sequence's own end."""
from __future__ import annotations

from typing import Any

from .join import side_by_side
from .lstm import LSTMLayer
from .moving import MovingBlock


class BidirectionalLSTM(MovingBlock):
    """Two LSTM layers over padded sequences, one in each direction, their outputs side by side.

    The fused operator reads sequence lengths with cuDNN only, so the second direction gets each sequence
    reversed up to its own length (``SequenceReverse``): what lies in the padding never reaches a valid output.

    Parameters
    ----------
    hidden_size : int
        Width H of each direction.
    dropout : float, default 0
        As in `LSTMLayer`.
    input_size : int, default 0
        Width C of the input; 0 takes it from the first input seen.
    weight_initializer : Initializer or None
        As in `LSTMLayer`.
    dtype : str, default 'float32'
        Type of the parameters and the output.

    Inputs
    ------
    - **data**: (T, N, C) float.
    - **valid_length**: (N,) int or float, the number of valid steps of each sequence.

    Outputs
    -------
    - **out**: (T, N, 2H) float. Outputs in the padding are defined but mean nothing.
    """

    chunkable = False  # every output depends on the whole sequence: a pipeline must not cut it in time

    def __init__(self, hidden_size: int, dropout: float = 0.0, input_size: int = 0, weight_initializer: Any = None,
                 dtype: str = "float32", prefix: Any = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        with self.name_scope():
            self.left = LSTMLayer(hidden_size, dropout, input_size, weight_initializer, dtype, prefix="l_")
            self.right = LSTMLayer(hidden_size, dropout, input_size, weight_initializer, dtype, prefix="r_")

    def hybrid_forward(self, F: Any, data: Any, valid_length: Any) -> Any:
        backwards = F.SequenceReverse(data, valid_length, use_sequence_length=True)  # (T, N, C)
        right = F.SequenceReverse(self.right(backwards), valid_length, use_sequence_length=True)
        return side_by_side(F, self.left(data), right)  # (T, N, 2H)
