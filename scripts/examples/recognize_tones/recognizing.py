"""The recognition run: data, steps, and the error rates of all decoders on the test sounds."""
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import gluonnlp
import mxnet as mx
import numpy as np

from mxmp.planning import analytic
from mxmp.tasks.results import describe_run, write_results
from mxmp.tasks.short import ShortRun

from .batches import Batch, Sample, epoch, make_batch, make_sample
from .decoding import best_path, prefix_beam
from .distance import token_error_rate
from .features import BINS
from .generate import TONES, generate
from .model import tones_chain
from .options import TonesOptions
from .picture import draw
from .templates import Templates

_log = logging.getLogger(f"mxmp.{__name__}")
_ROWS = 64  # of a batch that is only recognized
_SPLITS = ("train", "valid", "test")


class Recognizing(ShortRun):
    """One run, from its options to ``results.json`` and ``recognized.png``.

    Parameters
    ----------
    options : TonesOptions
        The flags.
    contexts : list of mx.Context
        Where the layers live.
    folder : Path
        The run's folder.

    Raises
    ------
    ValueError
        If the plan does not suit the layers and contexts.
    """

    measure = "token error rate"
    unit = "frames"

    def __init__(self, options: TonesOptions, contexts: List[mx.Context], folder: Path) -> None:
        held_out = options.num_sounds // 10
        self._samples = make_splits(options.seed, {"train": options.num_sounds, "valid": held_out, "test": held_out})
        train = self._samples["train"]
        frames = [len(sample.frames) for sample in train]
        _log.info("%d sounds to train on, of %d to %d frames and %.1f symbols on average", len(train), min(frames),
                  max(frames), np.mean([len(sample.symbols) for sample in train]))
        chain = tones_chain(len(TONES) + 1, BINS, options.hidden_size, options.num_layers)
        costs = analytic(chain, (options.batch_size, int(np.mean(frames)), BINS), (options.batch_size,))
        super().__init__(options, chain, costs, mx.gluon.loss.CTCLoss(), contexts, folder,
                         -(-len(train) // options.batch_size))

    def _batches(self, number: int, start: int) -> Iterator[Batch]:
        return epoch(self._samples["train"], self.options.batch_size, self.options.seed, number, start)

    def _train(self, batch: Batch) -> Tuple[mx.nd.NDArray, int, int]:
        loss = self.pipe.forward_backward((batch.frames, batch.num_frames),
                                          (batch.symbols, batch.num_frames, batch.num_symbols))
        return loss, len(batch.frames), batch.frames.shape[0] * batch.frames.shape[1]

    def log_probs(self, samples: Sequence[Sample]) -> List[np.ndarray]:
        """The logarithms of the class probabilities of each of ``samples``, (T, C) for its own T frames."""
        found = []
        for begin in range(0, len(samples), _ROWS):
            part = samples[begin:begin + _ROWS]
            batch = make_batch(part)
            scores = self.pipe((batch.frames, batch.num_frames)).log_softmax(axis=-1).asnumpy()  # (N, T, C)
            found += [row[:len(sample.frames)] for row, sample in zip(scores, part)]
        return found

    def _error(self) -> float:
        valid = self._samples["valid"]
        return token_error_rate(list(map(best_path, self.log_probs(valid))), [s.symbols for s in valid])

    def _finish(self) -> Dict[str, Any]:
        self._load_best()
        templates = Templates(self._samples["train"], self._samples["valid"], len(TONES))
        test = self._samples["test"]
        found = self.log_probs(test)
        decoded = {"best_path": list(map(best_path, found)),
                   "prefix_beam": [prefix_beam(frames, self.options.beam_size)[0][0] for frames in found],
                   "templates": [templates(sample.frames) for sample in test]}
        rates = {name: token_error_rate(symbols, [s.symbols for s in test]) for name, symbols in decoded.items()}
        self._tick()
        draw(self._folder / "recognized.png", test[0], found[0],
             {name: symbols[0] for name, symbols in decoded.items()})
        results = {"test": {"token_error_rate": rates, "sounds": len(test),
                            "symbols": sum(len(sample.symbols) for sample in test)},
                   "templates": {"shortest_run": templates.shortest, "centred": templates.centred},
                   **describe_run(self.options, self.plan, self.progress, (mx, np, gluonnlp))}
        write_results(self._folder, results)
        for name, rate in rates.items():
            _log.info("test: %-11s token error rate %.4f", name, rate)
        return results


def make_splits(seed: int, sizes: Dict[str, int]) -> Dict[str, List[Sample]]:
    """The samples of "train", "valid" and "test", as many as ``sizes`` says; each has a stream of the ``seed``'s."""
    return {name: [make_sample(sound) for sound in generate(size, seed, _SPLITS.index(name))]
            for name, size in sizes.items()}
