"""Recognizing sequences of tones, a small stand-in for speech: data, CTC, decoding, a baseline, training.

The modules are imported one by one (``recognize_tones.options`` before MXNet loads, the others after).
"""
