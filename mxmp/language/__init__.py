"""Language models: the model as a chain, training with carried states, baselines, sampling.

The modules are imported one by one (``mxmp.language.options`` before MXNet loads, the others after).
"""
