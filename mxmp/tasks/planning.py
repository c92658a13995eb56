"""The best plan for a model that need not exist, on contexts that need not be there: what `scripts/plan.py` does."""
from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Dict, List, Sequence, Tuple

import mxnet as mx
import numpy as np

from .. import nn
from ..contexts import parse_contexts
from ..planning import (
    DEVICES,
    PCIE,
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
    span,
    stage_bytes,
    tune,
)
from ..schedule import SCHEDULES, by_stage
from ..sizes import format_bytes
from .language import model as language
from .placing import split_contexts
from .request import Request
from .translation import model as translation
from .translation.model import translation_chain

_SHOWN = 6  # the best and the runners-up on all contexts; the best on half, a quarter and one of them follow
_DROPOUT = 0.2  # no plan depends on how much is dropped, only on that masks are kept


@dataclass(frozen=True)
class Model:
    """A chain with its loss, and the shapes of what it takes."""

    chain: nn.Chain
    loss: Any  # takes logits, labels (N, T) and lengths (N,)
    vocab_size: int
    batch_size: int
    seq_len: int
    two_sided: bool  # whether it reads a source and a target, or one text

    def shapes(self, rows: int, steps: int) -> Tuple[Tuple[int, ...], ...]:
        """The shapes of the chain's inputs for ``rows`` sequences of ``steps`` tokens."""
        return ((rows, steps), (rows,), (rows, steps)) if self.two_sided else ((rows, steps),)

    def inputs(self) -> List[mx.nd.NDArray]:
        """A batch of random tokens, with all rows of full length; int32."""
        return [self._lengths() if len(shape) == 1 else self._tokens()
                for shape in self.shapes(self.batch_size, self.seq_len)]

    def labels(self) -> List[mx.nd.NDArray]:
        """What the loss takes after the chain's outputs: random tokens (N, T) and lengths (N,), int32."""
        return [self._tokens(), self._lengths()]

    def _tokens(self) -> mx.nd.NDArray:
        random = np.random.RandomState(1)
        return mx.nd.array(random.randint(0, self.vocab_size, (self.batch_size, self.seq_len)), dtype="int32")

    def _lengths(self) -> mx.nd.NDArray:
        return mx.nd.full((self.batch_size,), self.seq_len, dtype="int32")


def build(request: Request, softmax: Sequence[mx.Context] = ()) -> Model:
    """The model that is asked for; with ``softmax`` the language model's projection, which its chain then lacks, is
    split over these contexts. The translation model is for sentences of one length."""
    vocab, embed, hidden = request.vocab_size, request.embed_size, request.hidden_size
    if request.model == "translation":
        layers = request.encoder_layers, request.decoder_layers
        chain = translation_chain(translation.ModelOptions(vocab, vocab, True, embed, hidden, *layers, _DROPOUT))
        return Model(chain, nn.LabelSmoothedLoss(0.1), vocab, request.batch_size, request.seq_len, two_sided=True)
    sizes = language.ModelOptions(vocab, embed, hidden, request.num_layers, _DROPOUT)
    loss: Any = language.split_loss(sizes, softmax) if softmax else nn.LabelSmoothedLoss(layout="NTC")
    return Model(language.language_chain(sizes, not softmax), loss, vocab, request.batch_size, request.seq_len,
                 two_sided=False)


def plan(request: Request) -> str:
    """Search, draw the best plan, and return what `report` says of it.

    What cannot be met is a ValueError: contexts that cannot be read, a layer of unknown cost, too little memory.
    """
    contexts = parse_contexts(request.contexts, present=bool(request.measure))
    stages, softmax = split_contexts(contexts, request.softmax_contexts or choose_span(request, contexts))
    costs, link, cuts = _costs(request, stages, softmax)
    asked: Dict[str, Any] = {"schedules": _schedules(request), "memory_limit": request.memory_bytes,
                             "transfer": link, "stages_per_context": request.stages_per_context}
    choices = tune(costs, stages, *cuts, **asked)[:_SHOWN]
    best = choices[0]
    for fewer in sorted({len(stages) // 2, len(stages) // 4, 1} - {0, len(stages)}, reverse=True):
        try:
            choices += tune(costs, stages[:fewer], *cuts, **asked)[:1]
        except Misfit:
            break  # fewer contexts hold less
    layers = costs(best.num_microbatches, best.num_chunks)
    schedule = SCHEDULES[best.schedule](best.plan.contexts, best.num_microbatches, best.num_chunks)
    best.plan.save(request.picture, layers, [most_live(units) for units in by_stage(schedule)], request.memory_bytes)
    if request.timeline:
        best.simulation.save(request.timeline)
    return report(choices, costs, request.batch_size * request.seq_len, softmax)


def choose_span(request: Request, contexts: List[mx.Context]) -> int:
    """How many contexts the softmax of the language model that is asked for should span, by estimated costs.

    `span` says it for each way to cut the batch: the smaller its pieces, the less of a layer's time is work. Of its few
    answers, and of one context and all, since `span` does not see how a pipeline fills and drains, the one is taken
    whose step is the shortest in the simulation. A softmax that shares the embedding, or whose times a file has, is in
    one piece.
    """
    if request.model == "translation" or request.profile:
        return 1
    costs, cuts = _estimated(request, contexts, ()), _cuts(request)
    answers = {1, len(contexts), *(_spanned(costs(m, c), len(contexts), request) for m, c in product(*cuts))}

    def seconds(spanned: int) -> float:
        stages, softmax = split_contexts(contexts, spanned)
        try:
            return tune(_estimated(request, stages, softmax), stages, *cuts, _schedules(request), request.memory_bytes,
                        _link(request), stages_per_context=request.stages_per_context)[0].seconds
        except ValueError:  # it does not fit, or there are more stages than layers
            return float("inf")
    return min(sorted(answers), key=seconds)


def _spanned(costs: Sequence[LayerCost], num_contexts: int, request: Request) -> int:
    """What `span` says of layers whose last is the projection; 1 if nothing fits, which the search then explains."""
    *layers, projection = costs
    link, limit = _link(request), request.memory_bytes
    *memory, softmax_memory = [stage_bytes([cost], range(1)) for cost in costs]  # of one micro-batch, as on the last
    try:
        return span([cost.work for cost in layers], projection.work, num_contexts, memory if limit else None,
                    softmax_memory, limit, [link.seconds(cost.sent_bytes) for cost in layers[:-1]],
                    link.seconds(layers[-1].sent_bytes))[1]
    except Misfit:
        return 1


def _link(request: Request) -> Link:
    return Link(PCIE.latency, request.link_bytes)


def _schedules(request: Request) -> List[str]:
    return [request.schedule] if request.schedule else [name for name in SCHEDULES if name != "continuous"]


def _cuts(request: Request) -> Tuple[List[int], List[int]]:
    """Micro-batches and chunks to try: those that leave a row and a step to each."""
    cuts = ([m for m in request.num_microbatches if m <= request.batch_size],
            [c for c in request.num_chunks if c <= request.seq_len])
    if not all(cuts):
        raise ValueError(f"none of --num_microbatches {request.num_microbatches} and --num_chunks {request.num_chunks} "
                         f"cuts --batch_size {request.batch_size} and --seq_len {request.seq_len}; give smaller ones")
    return cuts


def _costs(request: Request, contexts: Sequence[mx.Context],
           softmax: Sequence[mx.Context]) -> Tuple[Costs, Link, Tuple[List[int], List[int]]]:
    """Costs by micro-batches and chunks, the link, and what cuts to try."""
    cuts = _cuts(request)
    if request.measure:
        model = build(request, softmax)
        times = profile(model.chain, contexts, *model.inputs(), loss=model.loss, labels=model.labels(),
                        cuts=list(product(*cuts)))
        times.save(request.measure)
    elif request.profile:
        times = Profile.load(request.profile)
        pieces = next(iter(times.layers.values()))
        cuts = sorted({m for m, _ in pieces}), sorted({c for _, c in pieces})
    else:
        return _estimated(request, contexts, softmax), _link(request), cuts
    kind = contexts[0].device_type
    return (lambda m, c: times.costs(m, c, kind)), times.link(contexts), cuts


def _estimated(request: Request, contexts: Sequence[mx.Context], softmax: Sequence[mx.Context]) -> Costs:
    device = request.device or ("cpu" if contexts[0].device_type == "cpu" else "v100")
    if device not in DEVICES:
        raise ValueError(f"--device {device} is not known; choose one of {', '.join(DEVICES)}, or --measure on the "
                         "contexts themselves")
    model = build(request, softmax)
    known: Dict[Tuple[int, int], List[LayerCost]] = {}

    def costs(num_microbatches: int, num_chunks: int) -> List[LayerCost]:
        cut = -(-request.batch_size // num_microbatches), -(-request.seq_len // num_chunks)
        if cut not in known:
            known[cut] = estimate(analytic(model.chain, *model.shapes(*cut), loss=model.loss), DEVICES[device])
        return known[cut]
    return costs


def report(choices: Sequence[Choice], costs: Costs, tokens: int, softmax: Sequence[mx.Context] = ()) -> str:
    """Lines of text: the plan and prediction of the first of the ``choices``, and the others as alternatives.

    ``costs`` are what they were made of; a batch has so many ``tokens``, on one side. The ``softmax`` of the last stage
    is split over these contexts, if there are any.
    """
    best = choices[0]
    layers = costs(best.num_microbatches, best.num_chunks)
    lines = [f"{'context':8} {'work':>6} {'busy':>5} {'memory':>9}  layers"]
    stages = list(zip(best.simulation.rows, best.plan.contexts, best.plan.ranges, best.plan.shares(layers)))
    for row, (busy, size) in enumerate(zip(best.simulation.busy_shares, best.simulation.peak_bytes)):
        contexts, parts, shares = zip(*(own for place, *own in stages if place == row))
        lines.append(f"{str(contexts[0]):8} {sum(shares):6.1%} {busy:5.0%} {format_bytes(size):>9}  "
                     + " | ".join(", ".join(layers[i].name for i in part) for part in parts))
    if softmax:
        lines.append(f"the softmax is split over {', '.join(map(str, softmax))}")
    lines += ["", f"predicted: {_line(best, tokens, len(softmax[1:]))}, bubble {best.simulation.bubble:.0%}",
              "alternatives:", *("  " + _line(choice, tokens, len(softmax[1:])) for choice in choices[1:])]
    return "\n".join(lines)


def _line(choice: Choice, tokens: int, more: int) -> str:
    chunks = f" x {choice.num_chunks} chunks" if choice.num_chunks > 1 else ""
    contexts = len(set(choice.plan.contexts)) + more
    return (f"{1e3 * choice.seconds:8,.1f} ms a step, {tokens / choice.seconds:9,.0f} tokens/s, {choice.schedule} with "
            f"{choice.num_microbatches} micro-batches{chunks} on {contexts} contexts, plan "
            f"{choice.plan}, at most {format_bytes(max(choice.simulation.peak_bytes))} on one")
