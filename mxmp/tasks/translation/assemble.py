"""From options to what a run needs: corpus, costs, a measured plan."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import mxnet as mx

from ...data import Batch, Corpus, default_cache_dir, load_files, load_multi30k, load_numbers
from ...data.multi30k import MULTI30K_URL
from ...planning import LayerCost, Profile, analytic, profile, tune
from .options import Options

_TYPICAL_LENGTH = 16  # subwords of a sentence; the shares of the work hardly depend on it


def load_corpus(options: Options) -> Corpus:
    """The text that ``options`` ask for.

    Raises
    ------
    ValueError
        If a file that is needed is not given, or anything is wrong with one.
    RuntimeError
        If a download fails.
    """
    if options.dataset == "numbers":
        return load_numbers(options.src_lang, options.tgt_lang)
    if options.dataset == "multi30k":
        return load_multi30k(options.src_lang, options.tgt_lang, options.data_dir,
                             cache_folder(options), options.base_url or MULTI30K_URL)
    names = ("train_src", "train_tgt", "valid_src", "valid_tgt", "test_src", "test_tgt")
    files: Dict[str, str] = {name: getattr(options, name) for name in names}
    missing = ["--" + name for name, path in files.items() if path is None]
    if missing:
        raise ValueError(f"--dataset files needs {', '.join(missing)}")
    return load_files(src_lang=options.src_lang, tgt_lang=options.tgt_lang, **files)


def cache_folder(options: Options) -> Path:
    """The folder of downloads and prepared data that ``options`` ask for, `mxmp.data.default_cache_dir` by default."""
    return Path(options.cache_dir) if options.cache_dir else default_cache_dir()


def chain_costs(chain: Any, batch_size: int = 64) -> List[LayerCost]:
    """The computed cost of each layer of the translation ``chain`` for ``batch_size`` sentences of typical length."""
    tokens = (batch_size, _TYPICAL_LENGTH)
    return analytic(chain, tokens, (batch_size,), tokens)


def measure_layers(chain: Any, loss: Any, contexts: List[mx.Context], batch: Batch) -> Profile:
    """The times of the layers for a batch that is cut into 1, 2, 4 or 8 micro-batches.

    Parameters
    ----------
    chain : Chain
        From `translation_chain`.
    loss : Block
        Takes logits, labels and their lengths.
    contexts : list of mx.Context
        Where the layers shall live.
    batch : Batch
        What they are measured with.

    Returns
    -------
    Profile
    """
    cuts = [(m, 1) for m in (1, 2, 4, 8) if m <= len(batch.src)]
    return profile(chain, contexts, batch.src, batch.src_len, batch.tgt_in, loss=loss,
                   labels=(batch.tgt_out, batch.tgt_len), cuts=cuts)


def tuned(options: Options, measured: Profile, contexts: List[mx.Context]) -> Options:
    """The options with the plan, micro-batches and schedule that are the fastest in a simulation.

    Parameters
    ----------
    options : Options
        The others stay as they are.
    measured : Profile
        From `measure_layers`.
    contexts : list of mx.Context
        Where the layers shall live.

    Returns
    -------
    Options
    """
    kind = contexts[0].device_type
    best = tune(lambda m, c: measured.costs(m, c, kind), contexts, [m for m, _ in measured.layers[kind]],
                schedules=("1f1b", "fill_drain"), transfer=measured.link(contexts))[0]
    return replace(options, plan=str(best.plan), num_microbatches=best.num_microbatches, schedule=best.schedule)
