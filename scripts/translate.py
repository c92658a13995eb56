#!/usr/bin/env python3
"""Translate text with a model that train_translation.py trained: one sentence a line in, one out, in order."""
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Iterable, List, Optional, TextIO

from mxmp import command, runtime
from mxmp.command import flag
from mxmp.writing import check_writable, naming

_CHUNK = 16  # batches: as many are sorted by length together, and written together


@dataclass(frozen=True)
class Options:
    """The program's flags."""

    model: str = flag("", "folder of a training run, or of one of its checkpoints", required=True)
    input: Optional[str] = flag(None, "text file, plain or .gz, one sentence a line (default: standard input)",
                                type=str)
    errors: str = flag("strict", "'replace' puts U+FFFD in the place of what is not valid UTF-8, 'strict' refuses it",
                       choices=("strict", "replace"))
    output: Optional[str] = flag(None, "file for the translations (default: standard output)", type=str)
    contexts: str = flag("cpu(0)", "where the layers live, whatever they were trained on")
    gpus: Optional[str] = flag(None, "GPU numbers, as \"0,1\"; takes the place of --contexts", type=str)
    plan: Optional[str] = flag(None, "layers per context, as \"4,5\" (default: balanced by computed cost)", type=str)
    threads_per_context: int = flag(1, "CPU threads of each context")
    beam_size: int = flag(4, "translations kept while searching")
    lp_alpha: float = flag(1.5, "strength of length normalisation")
    max_length: Optional[int] = flag(None, "longest translation in subwords, whatever its source's length (default: "
                                           "the training's --max_length)", type=int)
    nbest: int = flag(1, "translations per sentence; above 1 each line is NUMBER, SCORE, TEXT, tab-separated")
    batch_size: int = flag(64, "most sentences per batch; fewer where they are longer than --max_length subwords")

    def __post_init__(self) -> None:
        command.check_at_least(1, self, "max_length", "beam_size", "batch_size")
        command.check_at_least(0, self, "lp_alpha")
        command.check_utf8(self, "model")
        if not 1 <= self.nbest <= self.beam_size:
            raise ValueError(f"--nbest must be from 1 to --beam_size ({self.beam_size}), got {self.nbest}")


def write(chunks: Iterable[List[Any]], nbest: int, out: TextIO) -> None:
    """One line per sentence or, with nbest above 1, one per translation; each chunk at once."""
    begin = 0
    for results in chunks:
        for number, hypotheses in enumerate(results, begin):
            for best in hypotheses[:nbest]:
                out.write(f"{best.text}\n" if nbest == 1 else f"{number}\t{best.score:.4f}\t{best.text}\n")
        begin += len(results)
        out.flush()


def main() -> None:
    """Load, translate, write."""
    options = command.parse_flags(Options, __doc__)
    if options.output:
        check_writable(options.output)  # better now than after an hour
    runtime.configure(options.threads_per_context)

    from mxmp.data import read_lines, read_stream  # these load MXNet, which must be configured first
    from mxmp.tasks.placing import choose_contexts
    from mxmp.tasks.translation.translator import Translator, load, translating

    contexts = choose_contexts(options.contexts, options.gpus)
    *trained, longest = load(Path(options.model), contexts, options.plan)
    translate = Translator(*trained, options.max_length or longest, options.beam_size, options.lp_alpha,
                           options.batch_size)
    sentences = read_lines(options.input, options.errors) if options.input else \
        read_stream(sys.stdin.buffer, "standard input", options.errors)
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    size = _CHUNK * options.batch_size
    with translating(len(sentences)) as bar, naming(options.output or "standard output"):
        chunks = (translate(sentences[begin:begin + size], bar) for begin in range(0, len(sentences), size))
        first = next(chunks, [])  # an older output stays until there is something to put in its place
        with open(options.output, "w", encoding="utf-8") if options.output else nullcontext(sys.stdout) as out:
            write(chain([first], chunks), options.nbest, out)


if __name__ == "__main__":
    command.run(main)
