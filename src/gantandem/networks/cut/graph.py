"""Cutting by torch.fx: the traced graph is cut at the layer's output."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, fx, nn

from gantandem.errors import CutError
from gantandem.networks.cut.base import CannotCut, Carry, Cut, Example, Path, build, describe
from gantandem.networks.held import untouched


class GraphCut(Cut):
    """Head and tail as two `torch.fx.GraphModule` that share the generator's modules.

    The tail holds what depends on the layer's output; all the rest is head, wherever it stands
    in `forward`. Head tensors with a row for each sample that the tail uses are carried; sizes
    become the activation's; other values (weights, grids, views that fold rows) are computed
    again in the tail, unless that would run a module of the head on the latent.

    Args:
        generator: The network, in eval mode.
        layer: The target's name.
        target: The module whose output is the activation.
        examples: Two (z, cond) of different numbers of rows.
        whole: Trace only the modules around the target and call all others as they are, for
            modules that torch.fx cannot enter.

    Raises:
        CannotCut: If a value needed by the tail can be neither carried nor computed again.
    """

    kind = "graph"

    def __init__(
        self,
        generator: nn.Module,
        layer: str,
        target: nn.Module,
        examples: list[Example],
        *,
        whole: bool = False,
    ) -> None:
        """Trace the generator and cut its graph."""
        super().__init__(layer)
        root = _Root(generator) if examples[0][1] is None else _ConditionalRoot(generator)
        with untouched([generator], examples[0][0].device):  # a forward may keep a proxy
            graph = _Tracer(root, target, examples[0], whole).trace(root)
        cutter = _Cutter(root, graph, target, examples)
        self._head_graph = fx.GraphModule(root, cutter.head, "Head")
        self._tail_graph = fx.GraphModule(root, cutter.tail, "Tail")
        self._conditional = examples[0][1] is not None
        self._needs_cond = cutter.cond is not None and bool(cutter.cond.users)

    def _head(self, z: Tensor, cond: Tensor | None) -> tuple[Tensor, Carry]:
        return self._head_graph(z, cond) if self._conditional else self._head_graph(z)

    def _tail(self, activation: Tensor, carry: Carry, cond: Tensor | None) -> Tensor:
        if not self._conditional:
            return self._tail_graph(activation, *carry)
        if cond is None and self._needs_cond:
            raise CutError(
                f"the tail after layer {self.layer!r} needs cond, the conditions of its rows"
            )
        return self._tail_graph(activation, cond, *carry)


class _Root(nn.Module):
    """Calls the generator as the library does, so that its optional arguments take defaults."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)


class _ConditionalRoot(_Root):
    def forward(self, z: Tensor, cond: Tensor) -> Tensor:  # type: ignore[override]
        return self.generator(z, cond)


class _Tracer(fx.Tracer):
    """Traces into the modules around the target, and loops over tuples whose length is known.

    Plain torch.fx cannot loop over ``torch.chunk(z, 5, 1)``, as hierarchical latents do. Here
    the nodes traced so far are run on the example when a loop asks how many parts there are.
    """

    proxy_buffer_attributes = True

    def __init__(self, root: nn.Module, target: nn.Module, example: Example, whole: bool) -> None:
        super().__init__()
        self._target = target
        self._whole = whole
        self._around = {m for m in root.modules() if any(part is target for part in m.modules())}
        self._inputs = [t for t in example if t is not None]
        self._known: dict[fx.Node, Any] = {}
        self._running = False  # on values: torch.fx has patched nn.Module meanwhile

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if m is self._target:
            return True
        if m in self._around:
            return False
        return self._whole or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if self._running:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if self._running:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        length = self.length(obj)
        parts: Any = obj  # a proxy can be indexed, which its type does not say
        return super().iter(obj) if length is None else iter([parts[i] for i in range(length)])

    def length(self, obj: fx.Proxy) -> int | None:
        """Return the length of a tuple or list, None for other values."""
        value = self._value(obj.node)
        return len(value) if isinstance(value, (tuple, list)) else None

    def _value(self, node: fx.Node) -> Any:
        self._running = True
        try:
            interpreter = fx.Interpreter(self.root, False, graph=self.graph)
            interpreter.env = self._known
            inputs = iter(self._inputs)
            # A list: where the module holds proxies, running a node adds nodes.
            for n in list(self.graph.nodes):
                if n.op == "placeholder":
                    value = next(inputs).clone()
                    self._known.setdefault(n, value)
                elif n not in self._known:
                    self._known[n] = interpreter.run_node(n)
                if isinstance(self._known[n], fx.Proxy):
                    raise CannotCut("the forward writes values into its module and reads them")
            return self._known[node]
        finally:
            self._running = False


class _Proxy(fx.Proxy):
    def __len__(self) -> int:
        length = self.tracer.length(self) if isinstance(self.tracer, _Tracer) else None
        return super().__len__() if length is None else length


class _Cutter:
    """Builds the graphs `head` and `tail` out of one traced graph."""

    def __init__(
        self, root: nn.Module, graph: fx.Graph, target: nn.Module, examples: list[Example]
    ) -> None:
        self._sizes = [len(z) for z, _ in examples]
        self._seen = [_values(root, graph, example) for example in examples]
        nodes = list(graph.nodes)
        inputs = [node for node in nodes if node.op == "placeholder"]
        cut = [
            node
            for node in nodes
            if node.op == "call_module" and root.get_submodule(str(node.target)) is target
        ]
        if len(cut) != 1:
            raise CannotCut(f"the layer appears {len(cut)} times in the traced graph")
        self._live = _downstream(nodes, inputs)
        after = _downstream(nodes, cut) - set(cut)
        if nodes[-1] not in after:
            raise CannotCut("its output does not reach the generator's output")

        self.head, self.tail = fx.Graph(), fx.Graph()
        self._in_head: dict[fx.Node, fx.Node] = {}
        for node in nodes:
            if node not in after:
                self._in_head[node] = self.head.node_copy(node, self._in_head.__getitem__)
        self._activation = self._last = self.tail.placeholder("activation")
        self.cond: fx.Node | None = None
        self._in_tail: dict[fx.Node, Any] = {cut[0]: self._activation}
        if len(inputs) > 1:
            self.cond = self._last = self.tail.placeholder("cond")
            self._in_tail[inputs[1]] = self.cond
        self._carried: list[fx.Node] = []
        for node in nodes:
            if node in after:
                self._in_tail[node] = self.tail.node_copy(node, self._fetch)
        self.head.output((self._in_head[cut[0]], tuple(self._carried)))

    def _fetch(self, node: fx.Node) -> Any:
        """Give the tail the value of a node, carrying or repeating what the head computed."""
        if node not in self._in_tail:
            self._in_tail[node] = self._bring(node)
        return self._in_tail[node]

    def _bring(self, node: fx.Node) -> Any:
        if node not in self._live:
            return self.tail.node_copy(node, self._fetch)
        try:
            spec = describe(*(values[node] for values in self._seen), *self._sizes)
        except CannotCut:
            if node.op == "call_module":
                raise
            return self.tail.node_copy(node, self._fetch)
        return build(spec, lambda path, axis: self._carry(node, path, axis), self._times)

    def _carry(self, node: fx.Node, path: Path, axis: int) -> fx.Node:
        part = self._in_head[node]
        for step in path:
            part = self.head.call_function(operator.getitem, (part, step))
        with self.tail.inserting_after(self._last):
            self._last = carried = self.tail.placeholder(f"carry_{len(self._carried)}")
        if axis:
            part = self.head.call_method("movedim", (part, axis, 0))
            carried = self.tail.call_method("movedim", (carried, 0, axis))
            carried = self.tail.call_method("contiguous", (carried,))
        self._carried.append(part)
        return carried

    def _times(self, factor: int) -> fx.Node:
        size = self.tail.call_method("size", (self._activation, 0))
        return size if factor == 1 else self.tail.call_function(operator.mul, (size, factor))


def _values(root: nn.Module, graph: fx.Graph, example: Example) -> dict[fx.Node, Any]:
    z, cond = example
    interpreter = fx.Interpreter(root, garbage_collect_values=False, graph=graph)
    interpreter.run(*(t.clone() for t in (z, cond) if t is not None))
    return interpreter.env


def _downstream(nodes: Iterable[fx.Node], sources: Iterable[fx.Node]) -> set[fx.Node]:
    """Return the sources and all nodes that depend on one; `nodes` come in order."""
    found = set(sources)
    for node in nodes:
        if any(parent in found for parent in node.all_input_nodes):
            found.add(node)
    return found
