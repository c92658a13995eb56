"""Measure mxmp on this machine; what starts the workers of ``pipeline`` loads neither MXNet nor PyTorch."""
