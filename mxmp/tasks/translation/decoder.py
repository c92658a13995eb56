"""One decoding step of the translation chain, for beam search."""
from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import mxnet as mx

from ...planning import Plan


class StepDecoder:
    """Run the layers of a translation chain with its parameters one target token at a time, each on its own context.

    It follows gluonnlp's contract for a decoder: ``log_probs, states = decoder(tokens, states)``, the leading
    axis of every state being sentences x beams. The states travel: they lie on the last context, where the
    search reorders them, and visit their layer's context in each step.
    """

    def __init__(self, chain: Any, plan: Plan) -> None:
        self._layers: Dict[str, Any] = chain.layers
        names = list(self._layers)
        self._contexts = {names[i]: context for context, stage in zip(plan.contexts, plan.ranges) for i in stage}
        self._encoder = names[:names.index("target_embedding")]
        self._decoder = [name for name in names if name.startswith("decoder_")]
        self.context = plan.contexts[-1]  # of tokens, states and log probabilities
        for layer in self._layers.values():
            layer.hybridize()

    def encode(self, src: mx.nd.NDArray, src_len: mx.nd.NDArray) -> List[mx.nd.NDArray]:
        """Run the encoder on source ids with `EOS_ID`, (N, S) int32, and their lengths, (N,) int32; keep its output.

        Returns the decoder's first states, (N, H) float32 each: of every decoder layer hidden and cell state.
        """
        arrays: Tuple = (src, src_len, src)  # the encoder only carries its third array
        for name in self._encoder:
            arrays = self._layers[name](*self._move(arrays, name))
        self._memory, self._src_len = self._move(arrays[:2], "attention")  # (S, N, D), (N,)
        states = []
        for name in self._decoder:
            begin = self._block(name).begin_state(src.shape[0], ctx=self.context)
            states += [state[0] for state in begin]  # (1, N, H) -> (N, H)
        return states

    def __call__(self, tokens: mx.nd.NDArray, states: Sequence[Any]) -> Tuple[mx.nd.NDArray, List[mx.nd.NDArray]]:
        """Take one step from the latest ``tokens``, (sentences x beams,) int32, and the ``states`` of the step before.

        Returns the log probabilities of the next token, (sentences x beams, V) float32, in nats, and the new states.
        """
        hidden = self._call("target_embedding", tokens.expand_dims(1))  # (1, B, E)
        new_states: List[mx.nd.NDArray] = []
        context: List[mx.nd.NDArray] = []
        for i, name in enumerate(self._decoder):
            pair = [state.expand_dims(0) for state in self._move(states[2 * i:2 * i + 2], name)]  # (1, B, H)
            hidden, pair = self._call(name, hidden, *context, pair)
            new_states += [state[0].as_in_context(self.context) for state in pair]
            if i == 0:
                context = [self._attend(hidden)]
        logits = self._call("projection", self._call("output", hidden, *context))  # (1, B, V)
        return mx.nd.log_softmax(logits[0]).as_in_context(self.context), new_states

    def _attend(self, query: mx.nd.NDArray) -> mx.nd.NDArray:
        """Attention with a sentence's beams in the place of target steps: the memory is never tiled."""
        sentences = self._src_len.shape[0]
        width = query.shape[-1]
        beams = query.reshape((sentences, -1, width)).swapaxes(0, 1)  # (1, N * beam, H) -> (beam, N, H)
        context = self._call("attention", beams, self._memory, self._src_len)  # (beam, N, D)
        return context.swapaxes(0, 1).reshape((1, -1, context.shape[-1]))  # (1, N * beam, D)

    def _block(self, name: str) -> Any:
        return self._layers[name].block

    def _call(self, name: str, *arrays: Any) -> Any:
        return self._block(name)(*self._move(arrays, name))

    def _move(self, arrays: Sequence[Any], name: str) -> Tuple:
        context = self._contexts[name]
        return tuple([a.as_in_context(context) for a in array] if isinstance(array, list)
                     else array.as_in_context(context) for array in arrays)
