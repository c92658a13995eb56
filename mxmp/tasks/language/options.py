"""The flags of a language model's run, and their defaults for each data set."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

from ...command import check_at_least, flag
from ..options import RunOptions, check_own_files

FIXED = ("dataset", "line_order", "units", "min_count", "vocab_size", "embed_size", "hidden_size", "num_layers", "tied",
         "batch_size", "bptt", "seed")  # the same when a run is resumed
_SENTENCES = {"min_count": 3, "vocab_size": 2000, "epochs": 5}
PRESETS: Dict[str, Dict[str, Any]] = {
    "numbers": {},
    "tatoeba": {**_SENTENCES, "min_count": 10, "dropout": 0.0, "batch_size": 128, "epochs": 2, "learning_rate": 8e-3},
    "multi30k": {**_SENTENCES, "dropout": 0.2},
    "files": {**_SENTENCES, "line_order": "kept"},
}
"""Defaults by data set, where they are not those of `Options`."""
FILES = ("text", "train_text", "valid_text", "test_text")
"""The flags that name files of one's own."""


@dataclass(frozen=True)
class Options(RunOptions):
    """The flags of ``scripts/train_language_model.py``, whose ``--help`` says what they mean."""

    dataset: str = flag("numbers", "what to train on; 'files' are your own, and the default where one is given",
                        choices=tuple(PRESETS))
    data_dir: Optional[str] = flag(None, "folder with tatoeba's or multi30k's files; multi30k's are downloaded without "
                                         "it", type=str)
    text: Optional[str] = flag(None, "own text, one sentence a line, plain or .gz, split by a hash of each line",
                               type=str)
    train_text: Optional[str] = flag(None, "own training text, one sentence a line, plain or .gz", type=str)
    valid_text: Optional[str] = flag(None, "own validation text", type=str)
    test_text: Optional[str] = flag(None, "own test text", type=str)
    line_order: str = flag("shuffled", "sentences in another order in each epoch, or kept for text that runs on, as "
                                       "the default of files", choices=("shuffled", "kept"))
    units: str = flag("words", "what a token is", choices=("words", "subwords"))
    min_count: int = flag(1, "words: rarer ones share one token")
    vocab_size: int = flag(200, "subwords: how many")
    cache_dir: Optional[str] = flag(None, "folder for downloads (default ~/.cache/mxmp)", type=str)

    embed_size: int = flag(128, "width of the embedding and of the last LSTM layer")
    hidden_size: int = flag(256, "width of the other LSTM layers")
    num_layers: int = flag(2, "LSTM layers")
    dropout: float = flag(0.1, "share dropped, one mask per row and time chunk")
    tied: bool = flag(False, "one table for embedding and output; needs them on one context")

    softmax_contexts: int = flag(1, "how many of the contexts, the last ones, share the projection to the vocabulary")
    schedule: str = flag("wavefront", "order of each stage's work",
                         choices=("wavefront", "1f1b", "fill_drain", "interleaved", "continuous"))
    num_microbatches: int = flag(2, "parts that a segment is cut into by rows")
    num_chunks: int = flag(2, "parts that each of these is cut into by time")

    batch_size: int = flag(64, "rows that the text is cut into")
    bptt: int = flag(16, "steps that gradients go back through (truncated back-propagation)")
    epochs: int = flag(3, "passes over the training text")
    learning_rate: float = flag(5e-3, "Adam's highest rate")
    seed: int = flag(1, "fixes the order of the sentences, initial values and dropout")
    log_interval: int = flag(100, "steps between two readings of the loss")
    save_interval: int = flag(1000, "steps between two checkpoints (there is one after each epoch, too)")
    sample_length: int = flag(30, "tokens of the sample that is logged after each epoch")
    output_dir: Optional[str] = flag(None, "the run's folder (default runs/lm-DATASET-TIME)", type=str)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, self, "min_count", "vocab_size", "softmax_contexts", "num_chunks", "bptt", "sample_length")
        if self.text and (self.train_text or self.valid_text or self.test_text):
            raise ValueError("--text is split by itself; leave out --train_text, --valid_text and --test_text, or give "
                             "those three and leave out --text")
        check_own_files(self, *FILES)

    @classmethod
    def preset(cls, flags: Dict[str, Any]) -> Dict[str, Any]:
        """The defaults of the data set that the ``flags`` name, or of files where they name one."""
        own = any(flags.get(name) for name in FILES)
        dataset = flags.get("dataset", "files" if own else "numbers")
        return {"dataset": dataset, **PRESETS[dataset]}
