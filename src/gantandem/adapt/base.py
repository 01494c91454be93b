"""What every adapter is: a module around a network, which translates its call."""

from __future__ import annotations

from torch import nn

from gantandem.errors import InputError


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
                f"{type(self).__name__}: got {type(network).__name__} as the network, allowed is "
                "an nn.Module"
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
