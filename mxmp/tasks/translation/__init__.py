"""Translation: the model as a chain, training, checkpoints, beam search, BLEU.

The modules are imported one by one (``mxmp.tasks.translation.options`` before MXNet loads, the others after).
"""
