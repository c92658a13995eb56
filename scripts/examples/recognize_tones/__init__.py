"""Recognizing sequences of tones; `options` loads without MXNet, and `train` is where to begin to read."""
