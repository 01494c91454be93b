"""How files of weights are laid out: which entry holds which network, and what names begin with."""

from __future__ import annotations

from typing import Any

from gantandem.errors import ConfigError, near
from gantandem.nets.unwrapping import Role

Place = tuple[str | None, str | None]
AUTO = "auto"
LAYOUTS: dict[str, dict[Role, Place]] = {
    "state-dict": {"generator": ("state_dict", None), "discriminator": ("state_dict", None)},
    "mimicry": {
        "generator": ("model_state_dict", None), "discriminator": ("model_state_dict", None),
    },
    "rosinality": {"generator": ("g_ema", None), "discriminator": ("d", None)},
    "pgan-zoo": {"generator": ("avgG", None), "discriminator": ("netD", None)},
    "hifi-gan": {"generator": ("generator", None), "discriminator": ("msd", None)},
    "lightning": {
        "generator": ("state_dict", "generator"),
        "discriminator": ("state_dict", "discriminator"),
    },
}  # fmt: skip
"""The entry and the prefix of each network, by the name of the layout."""


def place_of(layout: str, role: Role, key: str | None, strip_prefix: str | None) -> dict[str, Any]:
    """Which ``key`` and ``strip_prefix`` a network is read with.

    Args:
        layout: ``"auto"`` tries what is known; a name takes the entry of that layout.
        role: Which network.
        key: What was given; it goes before the layout's.
        strip_prefix: Likewise.

    Raises:
        ConfigError: If there is no such layout.
    """
    if layout != AUTO and layout not in LAYOUTS:
        raise ConfigError(f"layout {layout!r}: {near(layout, [AUTO, *LAYOUTS])}")
    own: Place = (None, None) if layout == AUTO else LAYOUTS[layout][role]
    return {
        "key": own[0] if key is None else key,
        "strip_prefix": own[1] if strip_prefix is None else strip_prefix,
    }
