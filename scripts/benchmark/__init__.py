"""Step times and memory: the pipeline beside plain Gluon and PyTorch, predictions, plans, a split softmax.

What starts the workers of ``pipeline`` loads no framework: MXNet's workers load MXNet after they have set their
threads, and PyTorch's need only PyTorch.
"""
