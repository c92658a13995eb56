"""Lists of contexts from text: "cpu(0-1)", "gpu(0-3)", "cpu(0),gpu(0)", "0,1,2"."""
from __future__ import annotations

import re
from typing import Any, Iterable, List, Tuple

import mxnet as mx

_NAMED = re.compile(r"(cpu|gpu)\(\s*(\d+)\s*(?:-\s*(\d+)\s*)?\)")
_BARE = re.compile(r"\d+")


def parse_contexts(text: str, present: bool = True) -> List[mx.Context]:
    """Turn text into contexts.

    Parameters
    ----------
    text : str
        Parts separated by commas: ``cpu(I)``, ``gpu(I)``, ranges ``gpu(I-J)`` with both ends included, or bare
        numbers as gluonnlp's ``--gpus`` takes them, which are GPUs.
    present : bool, default True
        Whether GPUs must be there; plans are also made for those of another machine.

    Returns
    -------
    list of mx.Context
        In the order of the text.

    Raises
    ------
    ValueError
        If a part cannot be read, a context is named twice, or a GPU is not there.
    """
    contexts: List[mx.Context] = []
    for part in (part.strip() for part in text.split(",")):
        contexts += _parse_part(part, text)
    twice = sorted({str(c) for c in contexts if contexts.count(c) > 1})
    if twice:
        raise ValueError(f"contexts {text!r} name {', '.join(twice)} more than once; name each context once")
    gpus = [c.device_id for c in contexts if c.device_type == "gpu"] if present else []
    seen = mx.context.num_gpus() if gpus else 0
    if gpus and max(gpus) >= seen:
        raise ValueError(f"contexts {text!r} need gpu({max(gpus)}), but MXNet sees {seen} GPUs here; "
                         "use GPUs that are there, or CPU contexts such as \"cpu(0-1)\"")
    return contexts


def check_contexts(contexts: Any, name: str) -> Tuple[mx.Context, ...]:
    """Returns what is a sequence of ``contexts`` as a tuple; a ValueError says what else it is, ``name``, must be."""
    several = tuple(contexts) if isinstance(contexts, Iterable) else None
    if several is None or not all(isinstance(context, mx.Context) for context in several):
        raise ValueError(f"{name} must be a sequence of contexts, such as (mx.cpu(0), mx.cpu(1)) or, from text, "
                         f"mxmp.contexts.parse_contexts(\"cpu(0-1)\"); got {contexts!r}")
    return several


def _parse_part(part: str, text: str) -> List[mx.Context]:
    named = _NAMED.fullmatch(part)
    if named:
        kind, first, last = named.group(1), int(named.group(2)), int(named.group(3) or named.group(2))
        if last < first:
            raise ValueError(f"contexts {text!r}: the range {part!r} runs backwards; write {kind}({last}-{first})")
        return [mx.Context(kind, i) for i in range(first, last + 1)]
    if _BARE.fullmatch(part):
        return [mx.gpu(int(part))]
    raise ValueError(f"contexts {text!r}: cannot read {part!r}; write, for example, \"cpu(0-1)\", \"gpu(0-3)\" or "
                     "\"0,1\"")
