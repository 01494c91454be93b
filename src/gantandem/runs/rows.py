"""Rows of ``metrics.json`` and points of ``sweep.json`` that need not be measured again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from gantandem.engine.sampling import start_run
from gantandem.errors import DataError
from gantandem.evaluate.against import Against
from gantandem.gan import GAN
from gantandem.nets.hashing import weights_hash
from gantandem.reporting import evidence as files
from gantandem.reporting.schema import METRICS, SWEEP, read_json
from gantandem.reporting.stale import made_by, older, weights_of
from gantandem.runs.shards import SETTINGS
from gantandem.runs.workspace import Workspace
from gantandem.samplers import Direct
from gantandem.samplers.base import Mover, Selector

logger = logging.getLogger(__name__)

Rows = dict[str, dict[str, Any]]
OF_THE_CALL = ("seed", "versions", "device", "rng_version", "data")
"""Settings that rows of one table share."""


def data_hash(work: Workspace, against: Against | None = None) -> str:
    """The name of the data that the run's samplers are measured by, and of a backbone."""
    digest = hashlib.sha256()
    if against is not None and against.backbone is not None:
        digest.update(weights_hash(against.backbone).encode())
    for part in work.real.test.split(1_000):
        digest.update(np.ascontiguousarray(part.cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]


def drawn_with(manifest: Mapping[str, Any], data: str) -> dict[str, Any]:
    """What a row depends on beside its ``n`` and its ``weights``: settings of the draw, data.

    Args:
        manifest: Of the samples, or of a call that has drawn nothing yet.
        data: See :func:`data_hash`.
    """
    settings = {key: manifest[key] for key in SETTINGS if key != "weights"}
    return json.loads(json.dumps({**settings, "data": data}))


def rows_to_keep(
    work: Workspace,
    asked: Mapping[str, Mover | Selector],
    n: int,
    seed: int,
    again: bool,
    data: str,
) -> Rows:
    """Rows that were measured before as they would be now; which go is said.

    Args:
        work: The run.
        asked: The samplers that are asked for; rows of others stay where they stand beside these:
            of as many samples, the same seed, data and networks.
        n: Samples of each.
        seed: Of all.
        again: Measure those that are asked for anew.
        data: What they are measured by, see :func:`data_hash`.
    """
    try:
        earlier = read_json(work.run / files.METRICS_FILE, METRICS, schema=1) or {}
    except DataError as error:
        logger.warning("all is measured anew: %s", error)
        return {}
    kept: Rows = {}
    if not (rows := earlier.get("samplers", {})):
        return kept
    weights = weights_of(work.gan)
    for name, row in rows.items():
        before: Any = row.get("drawn")
        there = files.samples_file(work.run, name).is_file() and isinstance(before, Mapping)
        if not there or row.get("n") != n or (name in asked and again):
            continue
        if not row.get("weights") or older(row["weights"], weights):
            continue
        _, manifest = start_run(work.gan, asked.get(name, Direct()), n, seed, None, 0, True)
        now = drawn_with(manifest, data)
        if all(before.get(key) == now[key] for key in (now if name in asked else OF_THE_CALL)):
            kept[name] = row
    if gone := [name for name in rows if name not in kept and name not in asked]:
        logger.info(
            "results for another n, seed, data, network or version are removed: %s", ", ".join(gone)
        )
    if same := [name for name in asked if name in kept]:
        logger.info("kept from an earlier call (--again measures again): %s", ", ".join(same))
    return kept


class PointsToKeep:
    """Points of ``sweep.json`` that were measured before as they would be now.

    Args:
        work: The run.
        n: Samples of each.
        seed: Of all.
        again: Keep none.

    Attributes:
        now: By label what its point depends on, which is kept with it.
    """

    def __init__(self, work: Workspace, n: int, seed: int, again: bool) -> None:
        self._n, self._seed, self._data = n, seed, data_hash(work)
        self.now: Rows = {}
        try:
            earlier = {} if again else read_json(work.run / files.SWEEP_FILE, SWEEP, schema=1) or {}
        except DataError as error:
            logger.warning("all is measured anew: %s", error)
            earlier = {}
        self._earlier = {row["label"]: row for row in earlier.get("points", ())}

    def __call__(self, label: str, sampler: Any, gan: GAN) -> dict[str, Any] | None:
        """The earlier point of a setting; None if there is none that depends on the same."""
        _, manifest = start_run(gan, sampler, self._n, self._seed, None, 0, True)
        weights = json.loads(json.dumps(made_by(gan, manifest)))
        self.now[label] = {"drawn": drawn_with(manifest, self._data), "made_by": weights}
        row = self._earlier.get(label, {})
        if row.get("n") != self._n or any(row.get(k) != v for k, v in self.now[label].items()):
            return None
        logger.info("%s: kept from an earlier call (--again measures again)", label)
        return row
