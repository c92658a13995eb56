"""The training run's options: one dataclass is the flags, their help, and what a run's folder remembers."""
from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, Optional

from ...command import check_at_least, check_positive, flag

FIXED = ("dataset", "line_order", "units", "min_count", "vocab_size", "embed_size", "hidden_size", "num_layers", "tied",
         "batch_size", "bptt", "seed")  # the same when a run is resumed
_DATASETS = ("numbers", "tatoeba", "multi30k", "files")


@dataclass(frozen=True)
class Options:
    """What a training run is asked to do; None stands for the data set's own default (`PRESETS`).

    Each option is a flag of ``scripts/train_language_model.py``, whose ``--help`` says what it means.

    Raises
    ------
    ValueError
        If a number is out of range, or options contradict each other.
    """

    dataset: Optional[str] = flag(None, "what to train on; 'files' are your own (default numbers, or files where one "
                                        "is given)", type=str, choices=_DATASETS)
    data_dir: Optional[str] = flag(None, "folder with tatoeba's or multi30k's files; multi30k's are downloaded without "
                                         "it", type=str)
    text: Optional[str] = flag(None, "own text, one sentence a line, plain or .gz, split by a hash of each line",
                               type=str)
    train_text: Optional[str] = flag(None, "own training text, one sentence a line, plain or .gz", type=str)
    valid_text: Optional[str] = flag(None, "own validation text", type=str)
    test_text: Optional[str] = flag(None, "own test text", type=str)
    line_order: Optional[str] = flag(None, "sentences in another order in each epoch, or kept for text that runs on "
                                           "(default shuffled, files: kept)", type=str, choices=("shuffled", "kept"))
    units: Optional[str] = flag(None, "what a token is", type=str, choices=("words", "subwords"))
    min_count: Optional[int] = flag(None, "words: rarer ones share one token", type=int)
    vocab_size: Optional[int] = flag(None, "subwords: how many", type=int)
    cache_dir: Optional[str] = flag(None, "folder for downloads (default ~/.cache/mxmp)", type=str)

    embed_size: Optional[int] = flag(None, "width of the embedding and of the last LSTM layer", type=int)
    hidden_size: Optional[int] = flag(None, "width of the other LSTM layers", type=int)
    num_layers: int = flag(2, "LSTM layers")
    dropout: Optional[float] = flag(None, "share dropped, one mask per row and time chunk", type=float)
    tied: bool = flag(False, "one table for embedding and output; needs them on one context")

    contexts: str = flag("cpu(0-1)", "where the layers live: \"cpu(0-1)\", \"gpu(0-3)\", \"cpu(1),gpu(0)\"")
    gpus: Optional[str] = flag(None, "GPU numbers, as \"0,1\"; takes the place of --contexts", type=str)
    softmax_contexts: int = flag(1, "how many of them, the last ones, share the projection to the vocabulary")
    plan: Optional[str] = flag(None, "layers per context, as \"3,2\" (default: balanced by computed cost)", type=str)
    schedule: str = flag("wavefront", "order of each stage's work", choices=("wavefront", "1f1b", "fill_drain"))
    num_microbatches: int = flag(2, "parts that a segment is cut into by rows")
    num_chunks: int = flag(2, "parts that each of these is cut into by time")
    threads_per_context: int = flag(1, "CPU threads of each context")

    batch_size: Optional[int] = flag(None, "rows that the text is cut into", type=int)
    bptt: int = flag(16, "steps that gradients go back through (truncated back-propagation)")
    epochs: Optional[int] = flag(None, "passes over the training text", type=int)
    learning_rate: Optional[float] = flag(None, "Adam's highest rate", type=float)
    warmup_steps: int = flag(50, "steps in which the rate rises to its highest; a cosine then takes it to 0")
    clip_norm: float = flag(1.0, "largest norm of all gradients together")
    seed: int = flag(1, "fixes the order of the sentences, initial values and dropout")
    log_interval: int = flag(100, "steps between two readings of the loss")
    save_interval: int = flag(1000, "steps between two checkpoints (there is one after each epoch, too)")

    timeline_step: int = flag(0, "draw when each unit of this step really ran, as timeline.png and .json (0: none)")

    sample_length: int = flag(30, "tokens of the sample that is logged after each epoch")
    output_dir: Optional[str] = flag(None, "the run's folder (default runs/lm-DATASET-TIME)", type=str)
    resume: bool = flag(False, "go on from the latest checkpoint in --output_dir")

    def __post_init__(self) -> None:
        check_at_least(1, self, "min_count", "vocab_size", "softmax_contexts", "num_microbatches", "num_chunks",
                       "threads_per_context", "batch_size", "bptt", "epochs", "log_interval", "save_interval",
                       "sample_length")
        check_positive(self, "learning_rate", "clip_norm")
        if self.resume and not self.output_dir:
            raise ValueError("--resume needs --output_dir, the folder of the run to go on with")
        if self.text and (self.train_text or self.valid_text or self.test_text):
            raise ValueError("--text is split by itself; leave out --train_text, --valid_text and --test_text, or give "
                             "those three and leave out --text")

    def filled(self) -> Options:
        """The options with the data set's defaults in the place of None."""
        own = self.text or self.train_text or self.valid_text or self.test_text
        chosen = replace(self, dataset=self.dataset or ("files" if own else "numbers"))
        return replace(chosen, **{k: v for k, v in PRESETS[str(chosen.dataset)].items() if getattr(chosen, k) is None})

    def as_dict(self) -> Dict[str, Any]:
        """All options by name."""
        return asdict(self)


_SENTENCES = {"line_order": "shuffled", "units": "words", "min_count": 3, "vocab_size": 2000, "embed_size": 128,
              "hidden_size": 256, "dropout": 0.1, "batch_size": 64, "epochs": 5, "learning_rate": 5e-3}
PRESETS: Dict[str, Dict[str, Any]] = {
    "numbers": {**_SENTENCES, "min_count": 1, "vocab_size": 200, "epochs": 3},
    "tatoeba": {**_SENTENCES, "min_count": 10, "dropout": 0.0, "batch_size": 128, "epochs": 2, "learning_rate": 8e-3},
    "multi30k": {**_SENTENCES, "dropout": 0.2},
    "files": {**_SENTENCES, "line_order": "kept"},
}
"""Options by data set that are filled in where they were not given."""
