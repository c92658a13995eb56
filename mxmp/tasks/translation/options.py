"""The training run's options: one dataclass is the flags, their help, and what a run's folder remembers."""
from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Dict, Optional

from ...command import check_at_least, check_positive, flag

FIXED = ("dataset", "src_lang", "tgt_lang", "vocab_size", "separate_vocab", "max_length", "embed_size", "hidden_size",
         "encoder_layers", "decoder_layers", "batch_size", "seed")  # the same when a run is resumed


@dataclass(frozen=True)
class Options:
    """What a training run is asked to do; None stands for the data set's own default (`PRESETS`).

    Each option is a flag of ``scripts/train_translation.py``, whose ``--help`` says what it means.

    Raises
    ------
    ValueError
        If a number is out of range, or `resume` comes without `output_dir`.
    """

    dataset: str = flag("numbers", "what to train on; 'files' are your own", choices=("numbers", "multi30k", "files"))
    src_lang: Optional[str] = flag(None, "source language", type=str)
    tgt_lang: Optional[str] = flag(None, "target language", type=str)
    data_dir: Optional[str] = flag(None, "folder with multi30k's files; without it they are downloaded", type=str)
    base_url: Optional[str] = flag(None, "address to download multi30k from", type=str)
    train_src: Optional[str] = flag(None, "own training text, one sentence a line, plain or .gz", type=str)
    train_tgt: Optional[str] = flag(None, "its translation", type=str)
    valid_src: Optional[str] = flag(None, "own validation text", type=str)
    valid_tgt: Optional[str] = flag(None, "its translation", type=str)
    test_src: Optional[str] = flag(None, "own test text", type=str)
    test_tgt: Optional[str] = flag(None, "its translation", type=str)
    vocab_size: Optional[int] = flag(None, "subwords (of each language with --separate_vocab)", type=int)
    separate_vocab: bool = flag(False, "one subword model and embedding per language instead of a joint one")
    max_length: int = flag(100, "drop training pairs with more subwords on a side")
    cache_dir: Optional[str] = flag(None, "folder for downloads and prepared data (default ~/.cache/mxmp)", type=str)

    embed_size: Optional[int] = flag(None, "width of the embeddings", type=int)
    hidden_size: Optional[int] = flag(None, "width of the LSTM layers", type=int)
    encoder_layers: int = flag(2, "LSTM layers of the encoder; the first is bidirectional")
    decoder_layers: int = flag(2, "LSTM layers of the decoder")
    dropout: Optional[float] = flag(None, "share dropped, one mask per sequence", type=float)

    contexts: str = flag("cpu(0-1)", "where the layers live: \"cpu(0-1)\", \"gpu(0-3)\", \"cpu(1),gpu(0)\"")
    gpus: Optional[str] = flag(None, "GPU numbers, as \"0,1\"; takes the place of --contexts", type=str)
    plan: Optional[str] = flag(None, "layers per context, as \"4,5\"; \"auto\" measures the layers and takes the "
                                     "fastest plan, --num_microbatches and --schedule (default: balanced by "
                                     "computed cost)", type=str)
    num_microbatches: int = flag(4, "parts that a batch is cut into")
    schedule: str = flag("1f1b", "order of each stage's micro-batches", choices=("1f1b", "fill_drain"))
    threads_per_context: int = flag(1, "CPU threads of each context")

    batch_size: int = flag(64, "sentence pairs per step")
    epochs: Optional[int] = flag(None, "passes over the training text", type=int)
    learning_rate: Optional[float] = flag(None, "Adam's highest rate", type=float)
    warmup_steps: int = flag(50, "steps in which the rate rises to its highest; a cosine then takes it to 0")
    clip_norm: float = flag(1.0, "largest norm of all gradients together")
    label_smoothing: float = flag(0.1, "weight of the uniform distribution in the loss")
    seed: int = flag(1, "fixes data order, initial values and dropout")
    log_interval: int = flag(50, "steps between two readings of the loss")
    save_interval: int = flag(500, "steps between two checkpoints (there is one after each epoch, too)")

    timeline_step: int = flag(0, "draw when each unit of this step really ran, as timeline.png and .json (0: none)")

    beam_size: int = flag(4, "translations kept per sentence in beam search")
    lp_alpha: float = flag(1.5, "strength of beam search's length normalisation")
    output_dir: Optional[str] = flag(None, "the run's folder (default runs/DATASET-SRC-TGT-TIME)", type=str)
    resume: bool = flag(False, "go on from the latest checkpoint in --output_dir")

    def __post_init__(self) -> None:
        check_at_least(1, self, "max_length", "num_microbatches", "threads_per_context", "batch_size", "log_interval",
                       "save_interval", "beam_size", "epochs", "vocab_size")
        check_positive(self, "learning_rate", "clip_norm")
        if self.resume and not self.output_dir:
            raise ValueError("--resume needs --output_dir, the folder of the run to go on with")

    def filled(self) -> Options:
        """Returns these options with the data set's defaults in the place of None."""
        preset = PRESETS[self.dataset]
        return replace(self, **{k: v for k, v in preset.items() if getattr(self, k) is None})

    def as_dict(self) -> Dict[str, Any]:
        """All options by name."""
        return asdict(self)


PRESETS: Dict[str, Dict[str, Any]] = {
    "numbers": {"src_lang": "en", "tgt_lang": "fr", "vocab_size": 600, "embed_size": 128, "hidden_size": 192,
                "dropout": 0.1, "epochs": 5, "learning_rate": 3e-3},
    "multi30k": {"src_lang": "de", "tgt_lang": "en", "vocab_size": 6000, "embed_size": 256, "hidden_size": 384,
                 "dropout": 0.2, "epochs": 10, "learning_rate": 2e-3},
    "files": {"src_lang": "src", "tgt_lang": "tgt", "vocab_size": 6000, "embed_size": 256, "hidden_size": 384,
              "dropout": 0.2, "epochs": 10, "learning_rate": 2e-3},
}
"""Options by data set that are filled in where they were not given."""
