"""A tiny translation model and batches for the tests."""
import mxnet as mx
import numpy as np

from mxmp.tasks.translation.model import ModelOptions

CONTEXTS = [mx.cpu(i) for i in range(3)]
OPTIONS = ModelOptions(23, 23, embed_size=8, hidden_size=6, encoder_layers=3, decoder_layers=3, dropout=0.0)


def batch(rows=8, source=6, target=5, vocab=23, seed=0):
    """Padded random sentences: the chain's inputs, the loss's labels, and the number of target tokens."""
    rng = np.random.RandomState(seed)
    src_len, tgt_len = rng.randint(1, source + 1, rows), rng.randint(1, target + 1, rows)
    src_len[0], tgt_len[0] = source, target

    def tokens(lengths, width):
        return rng.randint(4, vocab, (rows, width)) * (np.arange(width) < lengths[:, None])

    arrays = [tokens(src_len, source), src_len, tokens(tgt_len, target), tokens(tgt_len, target), tgt_len]
    src, src_len, tgt_in, tgt_out, tgt_len = (mx.nd.array(a, dtype="int32") for a in arrays)
    return (src, src_len, tgt_in), (tgt_out, tgt_len), int(tgt_len.sum().asscalar())
