"""What `scripts/plan.py` does: the best plan for a model that need not exist, on contexts that need not be there."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import mxnet as mx

from ..contexts import parse_contexts
from ..planning import (
    DEVICES,
    Choice,
    Costs,
    LayerCost,
    Link,
    Misfit,
    Profile,
    analytic,
    estimate,
    most_live,
    profile,
    tune,
)
from ..schedule import SCHEDULES
from ..sizes import format_bytes
from .placing import split_contexts
from .planned_models import Model, language_model, translation_model

_SHOWN = 6  # the best and the runners-up on all contexts; the best on half, a quarter and one of them follow
_LATENCY = 2e-5  # seconds of a transfer between GPUs, however small


@dataclass(frozen=True)
class Request:
    """The flags of ``scripts/plan.py``.

    Parameters
    ----------
    model : str
        What to plan for, "translation" or "language_model".
    encoder_layers, decoder_layers, num_layers : int
        Its LSTM layers.
    softmax_contexts : int
        Contexts, the last ones, over which a language model's projection is split.
    vocab_size, embed_size, hidden_size : int
        Its sizes.
    batch_size, seq_len : int
        Rows of a batch, and tokens of a row.
    contexts : str
        As `mxmp.parse_contexts` takes it; they need not be there.
    memory_limit : int or None
        Bytes that each context can hold.
    schedule : str or None
        A name from `mxmp.pipeline.SCHEDULES`; None tries all.
    num_microbatches, num_chunks : tuple of int
        Ways to cut the batch that are tried.
    device : str or None
        A name from `mxmp.planning.DEVICES`.
    link : int
        Bytes a second between contexts.
    profile, measure : str or None
        File of measured times to read, or to write.
    picture, timeline : str
        Files of the plan's picture and, if not None, of the predicted step's.

    Raises
    ------
    ValueError
        If a number is below 1, or the flags contradict each other.
    """

    model: str
    encoder_layers: int
    decoder_layers: int
    num_layers: int
    softmax_contexts: int
    vocab_size: int
    embed_size: int
    hidden_size: int
    batch_size: int
    seq_len: int
    contexts: str
    memory_limit: Optional[int]
    schedule: Optional[str]
    num_microbatches: Tuple[int, ...]
    num_chunks: Tuple[int, ...]
    device: Optional[str]
    link: int
    profile: Optional[str]
    measure: Optional[str]
    picture: str
    timeline: Optional[str]

    def __post_init__(self) -> None:
        for name in ("num_layers", "softmax_contexts", "vocab_size", "batch_size", "seq_len", "num_microbatches",
                     "num_chunks"):
            value = getattr(self, name)
            if min(value if isinstance(value, tuple) else (value,)) < 1:
                raise ValueError(f"--{name} must be at least 1, got {value}")
        if max(self.num_chunks) > 1 and self.model != "language_model":
            raise ValueError("--num_chunks: the translation model's attention and bidirectional layer need the whole "
                             "sequence, so that it cannot be cut in time; leave it at 1")
        if self.profile and (self.measure or self.device):
            raise ValueError("--profile brings its own times; leave out --measure and --device")
        if self.softmax_contexts > 1 and (self.model != "language_model" or self.profile):
            raise ValueError("--softmax_contexts splits the projection of --model language_model; leave it at 1 for "
                             "the translation model, which shares it with the embedding, and with --profile")

    def built(self, softmax: Sequence[mx.Context]) -> Model:
        """The model that is asked for, its softmax split over the contexts ``softmax`` if there are any."""
        return translation_model(self) if self.model == "translation" else language_model(self, softmax)


def plan(request: Request) -> str:
    """Search, draw the best plan, and say what was found.

    Parameters
    ----------
    request : Request
        What is asked for.

    Returns
    -------
    str
        As `report`.

    Raises
    ------
    ValueError
        If the request cannot be met: contexts that cannot be read, a layer of unknown cost, too little memory.
    """
    contexts = parse_contexts(request.contexts, present=bool(request.measure))
    stages, softmax = split_contexts(contexts, request.softmax_contexts)
    costs, link, tried = _costs(request, stages, softmax)
    schedules = [request.schedule] if request.schedule else list(SCHEDULES)
    choices = tune(costs, stages, *tried, schedules, request.memory_limit, link)[:_SHOWN]
    best = choices[0]
    for fewer in sorted({len(stages) // 2, len(stages) // 4, 1} - {0, len(stages)}, reverse=True):
        try:
            choices += tune(costs, stages[:fewer], *tried, schedules, request.memory_limit, link)[:1]
        except Misfit:
            break  # fewer contexts hold less
    layers = costs(best.num_microbatches, best.num_chunks)
    schedule = SCHEDULES[best.schedule](len(stages), best.num_microbatches, best.num_chunks)
    best.plan.save(request.picture, layers, [most_live(units) for units in schedule], request.memory_limit)
    if request.timeline:
        best.simulation.save(request.timeline)
    return report(choices, costs, request.batch_size * request.seq_len, softmax)


def _costs(request: Request, contexts: Sequence[mx.Context],
           softmax: Sequence[mx.Context]) -> Tuple[Costs, Link, Tuple[List[int], List[int]]]:
    """Costs by micro-batches and chunks, the link, and what cuts to try."""
    cuts = [m for m in request.num_microbatches if m <= request.batch_size], list(request.num_chunks)
    if request.measure:
        model = request.built(softmax)
        found = profile(model.chain, contexts, *model.inputs(), loss=model.loss, labels=model.labels(),
                        cuts=[(m, c) for m in cuts[0] for c in cuts[1]])
        found.save(request.measure)
    elif request.profile:
        found = Profile.load(request.profile)
        pieces = next(iter(found.layers.values()))
        cuts = sorted({m for m, _ in pieces}), sorted({c for _, c in pieces})
    else:
        return _estimated(request, contexts, softmax), Link(_LATENCY, request.link), cuts
    kind = contexts[0].device_type
    return (lambda m, c: found.costs(m, c, kind)), found.link(contexts), cuts


def _estimated(request: Request, contexts: Sequence[mx.Context], softmax: Sequence[mx.Context]) -> Costs:
    device = request.device or ("cpu" if contexts[0].device_type == "cpu" else "v100")
    if device not in DEVICES:
        raise ValueError(f"--device {device} is not known; choose one of {', '.join(DEVICES)}, or --measure on the "
                         "contexts themselves")
    model = request.built(softmax)
    known: Dict[Tuple[int, int], List[LayerCost]] = {}

    def costs(num_microbatches: int, num_chunks: int) -> List[LayerCost]:
        cut = -(-request.batch_size // num_microbatches), -(-request.seq_len // num_chunks)
        if cut not in known:
            known[cut] = estimate(analytic(model.chain, *model.shapes(*cut), loss=model.loss), DEVICES[device])
        return known[cut]
    return costs


def report(choices: Sequence[Choice], costs: Costs, tokens: int, softmax: Sequence[mx.Context] = ()) -> str:
    """The best choice's plan and prediction, and the alternatives, as text.

    Parameters
    ----------
    choices : sequence of Choice
        The best first.
    costs : callable
        What they were made of.
    tokens : int
        Of a batch, on one side.
    softmax : sequence of mx.Context
        Contexts over which the last stage's softmax is split.

    Returns
    -------
    str
        Several lines.
    """
    best = choices[0]
    layers = costs(best.num_microbatches, best.num_chunks)
    found = best.simulation
    lines = [f"{'context':8} {'work':>6} {'busy':>5} {'memory':>9}  layers"]
    for context, part, share, busy, size in zip(best.plan.contexts, best.plan.ranges, best.plan.shares(layers),
                                                found.busy_shares, found.peak_bytes):
        lines.append(f"{str(context):8} {share:6.1%} {busy:5.0%} {format_bytes(size):>9}  "
                     + ", ".join(layers[i].name for i in part))
    if softmax:
        lines.append(f"the softmax is split over {', '.join(map(str, softmax))}")
    lines += ["", f"predicted: {_line(best, tokens, len(softmax[1:]))}, bubble {found.bubble:.0%}", "alternatives:"]
    lines += ["  " + _line(choice, tokens, len(softmax[1:])) for choice in choices[1:]]
    return "\n".join(lines)


def _line(choice: Choice, tokens: int, more: int) -> str:
    chunks = f" x {choice.num_chunks} chunks" if choice.num_chunks > 1 else ""
    return (f"{1e3 * choice.seconds:8,.1f} ms a step, {tokens / choice.seconds:9,.0f} tokens/s, {choice.schedule} with "
            f"{choice.num_microbatches} micro-batches{chunks} on {len(choice.plan.counts) + more} contexts, plan "
            f"{choice.plan}, at most {format_bytes(max(choice.simulation.peak_bytes))} on one")
