"""What training runs share: flags, steps, logs, checkpoints, learning rates, pictures of the loss.

The modules are imported one by one (``mxmp.command`` before MXNet loads, the others after).
"""
