"""The flags of a translation run, and their defaults for each data set."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

from ...command import check_at_least, flag
from ..options import RunOptions, check_own_files

FIXED = ("dataset", "src_lang", "tgt_lang", "vocab_size", "separate_vocab", "max_length", "embed_size", "hidden_size",
         "encoder_layers", "decoder_layers", "batch_size", "bleu_tokenize", "seed")  # the same when a run is resumed
_SENTENCES = {"src_lang": "de", "tgt_lang": "en", "vocab_size": 6000, "embed_size": 256, "hidden_size": 384,
              "dropout": 0.2, "epochs": 10, "learning_rate": 2e-3}
PRESETS: Dict[str, Dict[str, Any]] = {
    "numbers": {}, "multi30k": _SENTENCES, "files": {**_SENTENCES, "src_lang": "src", "tgt_lang": "tgt"}}
"""Defaults by data set, where they are not those of `Options`."""
FILES = ("train_src", "train_tgt", "valid_src", "valid_tgt", "test_src", "test_tgt")
"""The flags that name files of one's own."""


@dataclass(frozen=True)
class Options(RunOptions):
    """The flags of ``scripts/train_translation.py``, whose ``--help`` says what they mean."""

    dataset: str = flag("numbers", "what to train on; 'files' are your own, and the default where one is given",
                        choices=tuple(PRESETS))
    src_lang: str = flag("en", "source language")
    tgt_lang: str = flag("fr", "target language")
    data_dir: Optional[str] = flag(None, "folder with multi30k's files; without it they are downloaded", type=str)
    base_url: Optional[str] = flag(None, "address to download multi30k from", type=str)
    train_src: Optional[str] = flag(None, "own training text, one sentence a line, plain or .gz", type=str)
    train_tgt: Optional[str] = flag(None, "its translation", type=str)
    valid_src: Optional[str] = flag(None, "own validation text", type=str)
    valid_tgt: Optional[str] = flag(None, "its translation", type=str)
    test_src: Optional[str] = flag(None, "own test text", type=str)
    test_tgt: Optional[str] = flag(None, "its translation", type=str)
    vocab_size: int = flag(600, "subwords (of each language with --separate_vocab)")
    separate_vocab: bool = flag(False, "one subword model and embedding per language instead of a joint one")
    max_length: int = flag(100, "drop training pairs with more subwords on a side; no translation has more, either")
    cache_dir: Optional[str] = flag(None, "folder for downloads and prepared data (default ~/.cache/mxmp)", type=str)

    embed_size: int = flag(128, "width of the embeddings")
    hidden_size: int = flag(192, "width of the LSTM layers")
    encoder_layers: int = flag(2, "LSTM layers of the encoder; the first is bidirectional")
    decoder_layers: int = flag(2, "LSTM layers of the decoder")
    dropout: float = flag(0.1, "share dropped, one mask per sequence")
    label_smoothing: float = flag(0.1, "weight of the uniform distribution in the loss that is trained on")

    plan: Optional[str] = flag(None, "layers per context, as \"4,5\"; \"auto\" measures the layers and takes the "
                                     "fastest plan, --num_microbatches and --schedule (default: balanced by "
                                     "computed cost)", type=str)
    batch_size: int = flag(64, "sentence pairs per step")
    beam_size: int = flag(4, "translations kept per sentence in beam search")
    lp_alpha: float = flag(1.5, "strength of beam search's length normalisation")
    bleu_tokenize: Optional[str] = flag(None, "sacrebleu's tokens that BLEU counts (default: by the script of the "
                                              "validation text's target side)", type=str,
                                        choices=("13a", "intl", "zh", "ja-mecab", "ko-mecab", "char", "none"))
    output_dir: Optional[str] = flag(None, "the run's folder (default runs/DATASET-SRC-TGT-TIME)", type=str)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, self, "max_length", "vocab_size", "beam_size")
        check_at_least(0, self, "lp_alpha")
        check_own_files(self, *FILES)

    @classmethod
    def preset(cls, flags: Dict[str, Any]) -> Dict[str, Any]:
        """The defaults of the data set that the ``flags`` name, or of files where they name one."""
        dataset = flags.get("dataset", "files" if any(flags.get(name) for name in FILES) else "numbers")
        return {"dataset": dataset, **PRESETS[dataset]}
