"""Features of images, which go through a frozen backbone once and not in every update."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gantandem.condition import is_labels
from gantandem.data.matching import probe
from gantandem.data.ranges import find_range
from gantandem.data.real import Real, Rows, Stored
from gantandem.discriminator.candidates import count_classes
from gantandem.discriminator.fitting import Evidence
from gantandem.errors import ConfigError, InputError, WeightsError, imports, look_up
from gantandem.gan import GAN
from gantandem.nets.backbones import Seen, named
from gantandem.nets.copying import copy_network
from gantandem.nets.features import DEFAULT, FeatureRatio, feature_count
from gantandem.nets.foreign import load_foreign
from gantandem.progress import FEW_PARTS, LONG, track

logger = logging.getLogger(__name__)

EMBEDDED = 500
"""Images that go through a backbone at a time."""
IN_MEMORY = 2**28
"""Bytes of features of a set that are held in memory; more lie in a file that goes with them ..."""
ON_DISK = 2**34
"""... and no more than these."""
SMALL, SMALL_SEEN = 64, 128
"""Images of up to so many pixels a side are resized to so many, unless it is said otherwise."""
SLOW = 120.0
"""Seconds that are worth a warning."""


def seen_evidence(network: FeatureRatio, shown: Evidence, progress: bool | None) -> Evidence:
    """The features of all sets in place of their images.

    Raises:
        InputError: If there are more of them than should lie on a disk.
    """
    total = sum(len(rows.x) for rows in shown)
    with track(total, "fit ratio: features", progress) as advance:
        clock = _Clock(total)

        def done(count: int) -> None:
            advance(count)
            clock.done(count)

        # What is held out is a tenth, and looked at as a whole.
        disk = (True, True, False, False)
        pairs = zip(shown, disk, strict=True)
        return Evidence(*(_embed(network, rows, done, on_disk) for rows, on_disk in pairs))


class _Clock:
    """Says after the first images how long all of them will take, if that is long."""

    def __init__(self, total: int) -> None:
        self.total, self.seen, self.begin = total, 0, time.perf_counter()
        self.parts, self.said = 0, False

    def done(self, count: int) -> None:
        self.parts += 1
        if self.parts == 1:  # which takes longer than the others
            self.begin = time.perf_counter()
            return
        self.seen += count
        needed = (time.perf_counter() - self.begin) / self.seen * self.total
        if self.parts < FEW_PARTS and needed / self.total * self.seen < LONG:
            return
        if not self.said and needed > SLOW:
            logger.warning(
                "fit_ratio: %d images go through the backbone once, which takes about %.0f "
                "minutes. A smaller n or fewer real samples take less time",
                self.total,
                needed / 60,
            )
        self.said = True


def _embed(network: FeatureRatio, rows: Rows, done: Any, on_disk: bool) -> Rows:
    """Features of a set, with the labels behind them where the head sees these."""
    features = _Features(len(rows.x), network.features + network.classes, on_disk)
    device = next(network.head.parameters()).device
    with torch.no_grad():
        for part in rows.split(EMBEDDED):
            features.add(network.embed(*part.to(device)))
            done(len(part.x))
    return Rows(features.whole())


class _Features:
    """Features (N, F) as they come: in memory, or in a file without a name, gone with them."""

    def __init__(self, count: int, size: int, on_disk: bool) -> None:
        needed = 4 * count * size
        self._parts: list[Tensor] = []
        self._array: np.ndarray | None = None
        self._filled = 0
        if needed > ON_DISK:
            raise InputError(
                f"fit_ratio: {count:,} images have {needed / 2**30:.0f} GiB of features, and at "
                f"most {ON_DISK / 2**30:.0f} are kept on a disk. Take a smaller n, "
                "or fewer real samples"
            )
        if on_disk and needed > IN_MEMORY:
            try:
                with tempfile.TemporaryFile(prefix="gantandem-features-") as file:
                    self._array = np.memmap(file, np.float32, "w+", shape=(count, size))
            except OSError as error:
                raise InputError(
                    f"fit_ratio: {needed / 2**30:.1f} GiB of features do not fit into "
                    f"{tempfile.gettempdir()} ({error.strerror or error}). Take a smaller n, or "
                    "set $TMPDIR to a folder with more room"
                ) from error

    def add(self, features: Tensor) -> None:
        if self._array is None:
            self._parts.append(features)
            return
        stop = self._filled + len(features)
        self._array[self._filled : stop] = features.float().cpu().numpy()
        self._filled = stop

    def whole(self) -> Any:
        if self._array is not None:
            return Stored(self._array)
        if len(self._parts) > 1:
            self._parts = [torch.cat(self._parts)]
        return self._parts[0]


def backbone_ratio(
    gan: GAN, parts: Real, backbone: str | nn.Module, weights: str | Path | None
) -> tuple[FeatureRatio, dict[str, Any]]:
    """A ratio network on a backbone, for the images and labels of a GAN; and its description.

    Args:
        gan: Whose images.
        parts: Real data.
        backbone: A module, its name (``"efficientnet-lite0@96"`` to look at 96 pixels a side), or
            ``"module:Class"``, which is made without arguments.
        weights: A weight file for it.

    Raises:
        ConfigError: If there is no such class.
        InputError: If it does not take the images, or conditions are no labels.
        WeightsError: If the file does not fit.
    """
    x, cond = probe(gan.networks), gan.networks.example_conditions()
    if cond is not None and not is_labels(cond):
        raise InputError(
            "fit_ratio backbone: scores images, or images given their labels; these conditions are "
            "tensors. Pass a network of your own (network=...)"
        )
    given: dict[str, Any] = {} if cond is None else {"classes": count_classes(gan, parts)}
    return _on_backbone(x, backbone, weights, given, "fit_ratio")


def backbone_body(
    gan: GAN, backbone: str | nn.Module, weights: str | Path | None, where: str
) -> nn.Module:
    """A frozen backbone for the images of a GAN, to measure them by: see :func:`backbone_ratio`."""
    return _on_backbone(probe(gan.networks), backbone, weights, {}, where)[0].body


def _on_backbone(
    x: Tensor,
    backbone: str | nn.Module,
    weights: str | Path | None,
    given: dict[str, Any],
    where: str,
) -> tuple[FeatureRatio, dict[str, Any]]:
    own = backbone
    if isinstance(backbone, str) and imports(backbone) and not named(backbone):
        own = look_up("backbone", backbone, {}, nn.Module)()
    if isinstance(own, nn.Module):
        if weights is not None:
            own = copy_network(own)
            for note in load_foreign(own, weights, "discriminator"):
                logger.info("backbone: %s", note)
        try:
            given["features"] = feature_count(own, x[:2])
            network = FeatureRatio(own, **given)
        except ValueError as error:
            raise InputError(f"{where} {error}") from error
        return network.to(x.device), {}
    if x.dim() != 4:
        raise InputError(
            f"{where} backbone: {backbone!r} takes images (C, H, W), but the data have shape "
            f"{tuple(x.shape[1:])}; leave backbone out, or give a network that takes such data"
        )
    name, _, side = str(own).partition("@")
    if side and not (side.isdigit() and int(side) >= 16):
        raise ConfigError(f"{where} backbone: got {own!r}; wanted is NAME or NAME@SIZE, as @128")
    if name != DEFAULT and (side or max(x.shape[2:]) <= SMALL):
        given["size"] = int(side or SMALL_SEEN)
    bounds = find_range(x[:64].cpu().numpy())
    if bounds is not None and bounds != (-1.0, 1.0):
        given |= dict(zip(("low", "high"), bounds, strict=True))
    try:
        network = FeatureRatio(name, pretrained=weights is None, **given)
        if weights is not None:
            own = network.body.network if isinstance(network.body, Seen) else network.body
            for note in load_foreign(own, weights, "discriminator"):
                logger.info("backbone: %s", note)
        feature_count(network.body, x[:2], repr(name))
    except WeightsError:
        raise
    except ValueError as error:
        raise ConfigError(f"{where} {error}") from error
    spec = {"net": "feature-ratio", "backbone": name, **given, "pretrained": False}
    return network.to(x.device), spec
