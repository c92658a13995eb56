"""Language models: the model as a chain, training with carried states, baselines, sampling.

The modules are imported one by one (``mxmp.tasks.language.options`` before MXNet loads, the others after).
"""
