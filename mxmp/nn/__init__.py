"""HybridBlocks for recurrent networks that are spread over several contexts.

In the shapes of inputs and outputs N is the number of sequences, T and S are numbers of steps, C, D, E and H are widths
and V is a vocabulary's size. *float* is the type of the block's parameters: float32, unless ``dtype`` or ``cast``
says otherwise. As all Gluon's blocks, they take ``prefix`` and ``params``, too.
"""
from .attention import AttentionalOutput, MaskedAttention
from .base import StatefulBlock
from .chain import Chain, Select, TimeFirst
from .compound import BidirectionalLSTM, ContextLSTM, Residual
from .embedding import Projection, SequenceEmbedding
from .loss import LabelSmoothedLoss
from .lstm import LSTMLayer
from .recurrent_layer import RecurrentLayer
from .sharded_softmax import ShardedSoftmaxLoss
from .stacked import StackedLSTM

__all__ = ["AttentionalOutput", "BidirectionalLSTM", "Chain", "ContextLSTM", "LSTMLayer", "LabelSmoothedLoss",
           "MaskedAttention", "Projection", "RecurrentLayer", "Residual", "Select", "SequenceEmbedding",
           "ShardedSoftmaxLoss", "StackedLSTM", "StatefulBlock", "TimeFirst"]
