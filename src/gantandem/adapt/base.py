"""What every adapter is: a module around a network, which translates its call."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

from torch import nn

from gantandem.errors import InputError, near


def unwrapped(network: nn.Module) -> nn.Module:
    """The network inside the wrappers of ``torch.compile`` and of data parallelism."""
    while True:
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
            network = network.module
        elif hasattr(network, "_orig_mod"):
            network = network._orig_mod  # type: ignore[assignment]
        else:
            return network


class Adapter(nn.Module):
    """A network behind the call of another one; its weights and parts are shared, never copied.

    Subclass it, keep every argument in an attribute of its name (so that a GAN can be saved) and
    define ``forward``.

    Args:
        network: What is adapted: called with the sample or latent, and with the condition if there
            is one. Wrappers of ``torch.compile`` and of data parallelism are taken off.

    Raises:
        InputError: If it is no ``nn.Module``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise InputError(
                f"{type(self).__name__}: the network is a {type(network).__name__}, allowed is an "
                "nn.Module"
            )
        self.network = unwrapped(network)


def bare(network: nn.Module) -> nn.Module:
    """The network inside all adapters: its layers go by their own names."""
    while isinstance(network, Adapter):
        network = network.network
    return network


def title(network: nn.Module) -> str:
    """What a network is called: its class, in those of its adapters."""
    inner = f"({title(network.network)})" if isinstance(network, Adapter) else ""
    return type(network).__name__ + inner


def check_names(adapter: Adapter, names: Sequence[str], line: str) -> None:
    """Refuse keywords that the network of an adapter does not take.

    Args:
        adapter: That passes them.
        names: Of the keywords.
        line: How the adapter is written around ``{}``, for the message.

    Raises:
        InputError: If its forward has no such argument; it says which come near.
    """
    own, network = type(adapter).__name__, adapter.network
    try:
        every = list(inspect.signature(network.forward).parameters.values())
    except (TypeError, ValueError):  # scripted, say
        return
    known = [p.name for p in every if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    wrong = [name for name in names if name not in known]
    if not wrong or any(p.kind is p.VAR_KEYWORD for p in every):
        return
    kind = type(network).__name__
    if isinstance(network, Adapter):
        inside = f"adapt.{kind}({line.format('G')}, ...)"
        raise InputError(
            f"{own}: {kind} does not pass keywords to the network inside it; put {own} inside "
            f"{kind}: {inside}"
        )
    raise InputError(
        f"{own}: the forward of {kind} has no argument {wrong[0]!r}; {near(wrong[0], known)}"
    )


def sizes_of(network: nn.Module) -> Iterator[int]:
    """What the layers of a network take, in their order."""
    for module in network.modules():
        size = getattr(module, "in_features", getattr(module, "in_channels", None))
        if isinstance(size, int):
            yield size
