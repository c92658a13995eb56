"""The flags of `scripts/plan.py`, which are parsed before MXNet loads."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from ..command import check_at_least, flag, numbers, whole
from ..schedule import SCHEDULES
from ..sizes import parse_bytes


def number_or_auto(text: str) -> int:
    """A whole number, or 0 for "auto"."""
    return 0 if text == "auto" else whole(text)


@dataclass(frozen=True)
class Request:
    """What to plan for, on what, and what to write; contexts need not be there, nor the model exist."""

    model: str = flag("translation", "what to plan for", choices=("translation", "language_model"))
    encoder_layers: int = flag(4, "translation: LSTM layers of the encoder")
    decoder_layers: int = flag(4, "translation: LSTM layers of the decoder")
    num_layers: int = flag(4, "language_model: LSTM layers")
    softmax_contexts: int = flag("auto", "language_model: contexts, the last ones, over which the projection to the "
                                         "vocabulary is split; \"auto\" takes as many as make the step the fastest",
                                 type=number_or_auto, metavar="N")
    vocab_size: int = flag(32000, "tokens")
    embed_size: int = flag(512, "width of the embeddings")
    hidden_size: int = flag(1024, "width of the LSTM layers")
    batch_size: int = flag(128, "rows of a batch")
    seq_len: int = flag(32, "tokens of a row (of each language)")
    contexts: str = flag("gpu(0-3)", "where the layers shall live; they need not be there")
    memory_limit: Optional[str] = flag(None, "what each context can hold, as \"12GB\" or \"11GiB\"", type=str)
    schedule: Optional[str] = flag(None, "default: the best of all", type=str, choices=tuple(SCHEDULES))
    stages_per_context: Tuple[int, ...] = flag("2", "interleaved: numbers of stages to try on each context",
                                               type=numbers)
    num_microbatches: Tuple[int, ...] = flag("1,2,4,8,16,32", "numbers of micro-batches to try", type=numbers)
    num_chunks: Tuple[int, ...] = flag("1", "language_model: numbers of time chunks to try", type=numbers)
    device: Optional[str] = flag(None, "figures of the contexts: k40m, p100, v100, a100 or cpu (default: v100, or cpu "
                                       "for cpu(...))", type=str)
    link: str = flag("10GB", "bandwidth between contexts, in bytes a second")
    profile: Optional[str] = flag(None, "measured times that --measure wrote, in the place of --device and the model",
                                  type=str, metavar="FILE")
    measure: Optional[str] = flag(None, "measure the model's layers on the contexts, which must be there, first",
                                  type=str, metavar="FILE")
    threads_per_context: int = flag(1, "CPU threads of each context, for --measure")
    picture: str = flag("plan.png", "the plan as a picture", metavar="FILE")
    timeline: Optional[str] = flag(None, "the predicted step as a picture", type=str, metavar="FILE")

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_layers", "vocab_size", "batch_size", "seq_len", "num_microbatches", "num_chunks",
                       "stages_per_context")
        check_at_least(0, self, "softmax_contexts")
        for text in filter(None, (self.memory_limit, self.link)):
            parse_bytes(text)  # now, not after the search
        if max(self.num_chunks) > 1 and self.model != "language_model":
            raise ValueError("--num_chunks: the translation model's attention and bidirectional layer need the whole "
                             "sequence, so that it cannot be cut in time; leave it at 1")
        if self.profile and (self.measure or self.device):
            raise ValueError("--profile brings its own times; leave out --measure and --device")
        if self.softmax_contexts > 1 and (self.model != "language_model" or self.profile):
            raise ValueError("--softmax_contexts splits the projection of --model language_model; leave it at 1 for "
                             "the translation model, which shares it with the embedding, and with --profile")

    @property
    def memory_bytes(self) -> Optional[int]:
        """What each context can hold, if there is a limit."""
        return parse_bytes(self.memory_limit) if self.memory_limit else None

    @property
    def link_bytes(self) -> int:
        """What the link carries a second."""
        return parse_bytes(self.link)
