"""Hybridized blocks whose random operators hand out what they draw, and take it back when they are run again."""
from __future__ import annotations

import json
from functools import partial
from typing import Any, Dict, List, Tuple

import mxnet as mx
from mxnet.gluon import Block, HybridBlock, SymbolBlock

from .draws import axes_of, check_draws, current_draws, random_operators, watch_operators

Entry = List[int]  # a node's number, which of its outputs, and a version


def keep_draws(block: Block) -> None:
    """Let a block's random operators, hybridized or not, keep what they draw in units that run twice."""
    watch_operators()
    if not (getattr(block, "_active", False) or isinstance(block, SymbolBlock)):  # which always calls its graph
        for child in block._children.values():
            keep_draws(child)
    elif "_build_cache" not in vars(block):
        block._clear_cached_op()
        block._build_cache = partial(_build_cache, block)


def _build_cache(block: HybridBlock, *args: Any) -> None:
    """What the block does when it is traced, and then a `DrawingOp` in the place of its operator if that may draw."""
    type(block)._build_cache(block, *args)
    graph = json.loads(block._cached_graph[1].tojson())
    if any(node["op"] in random_operators() or "subgraphs" in node for node in graph["nodes"]):
        block._cached_op = DrawingOp(block, graph)


class DrawingOp:
    """What a hybridized ``block`` calls: its own operator, but in units that run twice one of two others.

    The first has what is drawn among its outputs, the second among its inputs, where Dropout is a product with the
    factors that it drew. They draw the numbers that the block's own operator would.
    """

    def __init__(self, block: HybridBlock, graph: Dict[str, Any]) -> None:
        self._op, self._symbol, self._flags, self._graph = block._cached_op, block._cached_graph[1], block._flags, graph
        self._parameters = [not is_input for is_input, _ in block._cached_op_args]
        self._ops: Dict[bool, Tuple[Any, List[int], int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._op, name)

    def __call__(self, *arrays: Any) -> Any:
        draws = current_draws()
        if draws is None:
            return self._op(*arrays)
        if draws.again not in self._ops:
            self._ops[draws.again] = self._make(draws.again)
        op, order, count = self._ops[draws.again]
        given = [*arrays, *(draws.take() for _ in range(count if draws.again else 0))]
        outputs = op(*(given[i] for i in order))
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        if not draws.again:
            for drawn in outputs[len(outputs) - count:]:
                draws.keep(drawn)
            outputs = outputs[:len(outputs) - count]
        return outputs if len(outputs) > 1 else outputs[0]

    def _make(self, again: bool) -> Tuple[Any, List[int], int]:
        """The operator for the first or the second run; which array each of its inputs is, the block's first and then
        the drawn ones; and how many are drawn."""
        graph, drawn = rewritten(self._graph, again)
        symbol = mx.sym.load_json(json.dumps(graph))
        symbol = symbol.as_np_ndarray() if self._op.is_np_sym else symbol
        places = {name: i for i, name in enumerate([*self._symbol.list_inputs(), *drawn])}
        order = [places[name] for name in symbol.list_inputs()]
        parameters = [i for i, place in enumerate(order) if place < len(self._parameters) and self._parameters[place]]
        data = [i for i in range(len(order)) if i not in parameters]
        flags = [("data_indices", data), ("param_indices", parameters), *self._flags]
        return mx.nd.CachedOp(symbol, flags), order, len(drawn)


def rewritten(graph: Dict[str, Any], again: bool) -> Tuple[Dict[str, Any], List[str]]:
    """A symbol's JSON with what is drawn as its last outputs or, to be run ``again``, as inputs; and their names."""
    nodes: List[Dict[str, Any]] = []
    places: List[int] = []  # of the old nodes among the new ones
    drawn: List[Entry] = []
    for node in graph["nodes"]:
        _check_inside(node)
        node = {**node, "inputs": [[places[source], *rest] for source, *rest in node["inputs"]]}
        attrs = node.get("attrs", {})
        if node["op"] in random_operators() and check_draws(node["op"], attrs, len(node["inputs"])):
            drawn.append(_draw(nodes, node, again))
            if node["op"] == "Dropout":
                _add(nodes, "broadcast_mul", node["name"], node["inputs"][0], drawn[-1])
        else:
            nodes.append(node)
        places.append(len(nodes) - 1)
    heads = [[places[source], *rest] for source, *rest in graph["heads"]]
    new = {**graph, "nodes": nodes, "heads": heads if again else heads + drawn,
           "arg_nodes": [i for i, node in enumerate(nodes) if node["op"] == "null"]}
    del new["node_row_ptr"]
    return new, [nodes[place]["name"] for place, *_ in drawn]


def _draw(nodes: List[Dict[str, Any]], node: Dict[str, Any], again: bool) -> Entry:
    """Append what gives the numbers that a node draws: an input, the node itself or, for Dropout, one of ones."""
    name = f"{node['name']}_drawn"
    if again:
        return _add(nodes, "null", name)
    inputs = node["inputs"]
    if node["op"] == "Dropout":
        like = inputs[0]
        for axis in axes_of(node.get("attrs", {})):
            like = _add(nodes, "slice_axis", f"{name}_{axis}", like, axis=axis, begin=0, end=1)
        inputs = [_add(nodes, "ones_like", f"{name}_ones", like)]
    nodes.append({**node, "name": name, "inputs": inputs})
    return [len(nodes) - 1, 0, 0]


def _add(nodes: List[Dict[str, Any]], op: str, name: str, *inputs: Entry, **attrs: int) -> Entry:
    """Append a node; returns its first output."""
    nodes.append({"op": op, "name": name, "attrs": {key: str(value) for key, value in attrs.items()},
                  "inputs": list(inputs)})
    return [len(nodes) - 1, 0, 0]


def _check_inside(node: Dict[str, Any]) -> None:
    """Refuse loops and branches that draw: their graphs are not those of the block."""
    inside = [each for graph in node.get("subgraphs", ()) for each in graph["nodes"]]
    for each in inside:
        _check_inside(each)
        if each["op"] in random_operators() and check_draws(each["op"], each.get("attrs", {}), len(each["inputs"])):
            raise ValueError(f"{node['op']} has {each['op']} inside, whose random numbers recomputation cannot give to "
                             "it again; leave one of them out, or use recompute=False for its stage")
