"""HybridBlocks for recurrent networks that are spread over several contexts."""
from .attention import MaskedAttention
from .bidirectional import BidirectionalLSTM
from .chain import Chain
from .context_lstm import ContextLSTM
from .embedding import SequenceEmbedding
from .loss import LabelSmoothedLoss
from .lstm import LSTMLayer
from .output import AttentionalOutput, Projection
from .recurrent_layer import RecurrentLayer
from .residual import Residual
from .select import Select
from .sharded import ShardedSoftmaxLoss
from .stacked import StackedLSTM
from .stateful import StatefulBlock
from .time_first import TimeFirst

__all__ = ["AttentionalOutput", "BidirectionalLSTM", "Chain", "ContextLSTM", "LSTMLayer", "LabelSmoothedLoss",
           "MaskedAttention", "Projection", "RecurrentLayer", "Residual", "Select", "SequenceEmbedding",
           "ShardedSoftmaxLoss", "StackedLSTM", "StatefulBlock", "TimeFirst"]
