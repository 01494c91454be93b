"""What a run folder holds for its report: numbers, samples, real data, landscape, diagnosis.

The report reads files only, never a network, so it can be made again anywhere and at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from numpy.typing import NDArray

from gantandem.data.ranges import Range, check_range, shown_range
from gantandem.errors import DataError
from gantandem.files import Loader, file_name
from gantandem.files.limits import read_npz
from gantandem.reporting.schema import (
    DIAGNOSES,
    HISTORY,
    METRICS,
    RECOMMENDED,
    SWEEP,
    TYPED,
    read_json,
)
from gantandem.reporting.schema import WARNED as WARNED_SCHEMA

METRICS_FILE = "metrics.json"
SWEEP_FILE = "sweep.json"
SAMPLES = "samples"
REAL_FILE = "evidence/real.npz"
PAIRS_FILE = "evidence/pairs.npz"
LANDSCAPE_FILE = "evidence/landscape.npz"
SHAPING_FILE = "evidence/shaping.json"
DIAGNOSIS_FILE = "evidence/diagnosis.json"
RECOMMENDATION_FILE = "evidence/recommendation.json"
COMMANDS = "evidence/commands.json"
WARNED = "evidence/warnings.json"
"""No results of a step, so that nothing is lost with them."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Evidence:
    """Everything a report shows.

    Args:
        run: The folder.
        metrics: The content of ``metrics.json``, schema 1.
        samples: (N, *x_shape) by sampler, in the order of ``metrics``.
        real: (M, *x_shape) held-out real data, or None.
        landscape: ``axis_x``, ``axis_y`` (G,) and the guide's logit ``before`` and ``after``
            shaping, (G, G) with y first; empty if there is none.
        pairs: ``before`` and ``after``, the same latents unrefined and refined, and the name of
            the ``sampler`` (older runs did not note it); empty if there are none.
        shaping: The history of shaping, one entry a check.
        diagnosis: By name of the law: what ``diagnose`` found.
        sweep: The content of ``sweep.json``, schema 1; empty if there is none.
        weights: Hashes of the networks that the run holds now; empty if they are not known.
        recommendation: What was recommended, and what else was tried; empty if nothing was.
        commands: What was typed to make the run: ``command`` and ``date`` of each.
        warned: What each step warned of.
    """

    run: Path
    metrics: dict[str, Any]
    samples: dict[str, Array] = field(default_factory=dict)
    real: Array | None = None
    landscape: dict[str, Array] = field(default_factory=dict)
    pairs: dict[str, Array] = field(default_factory=dict)
    shaping: list[dict[str, Any]] = field(default_factory=list)
    diagnosis: dict[str, dict[str, Any]] = field(default_factory=dict)
    sweep: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    recommendation: dict[str, Any] = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)
    warned: dict[str, list[str]] = field(default_factory=dict)

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The rows of ``metrics.json`` by sampler."""
        return self.metrics["samplers"]

    @property
    def planar(self) -> bool:
        """Whether the data are points in a plane."""
        return any(x.ndim == 2 and x.shape[1] == 2 for x in self._arrays())

    @property
    def pictorial(self) -> bool:
        """Whether the data are images (C, H, W) of one or three channels."""
        return any(x.ndim == 4 and x.shape[1] in (1, 3) for x in self._arrays())

    @property
    def bounds(self) -> Range:
        """The values of black and of white in images: the run's, else by the images themselves.

        Those of no usual range are shown from the least to the largest value.
        """
        if self.metrics.get("range"):
            return check_range(self.metrics["range"], f"{self.run / METRICS_FILE}: range")
        return shown_range(self._arrays()[::-1])  # real ones first

    def _arrays(self) -> list[Array]:
        return [*self.samples.values(), *([] if self.real is None else [self.real])]


def read_evidence(run: str | Path) -> Evidence:
    """Read a run folder.

    Raises:
        DataError: If ``metrics.json`` is missing, damaged or of another schema, or another file
            is damaged; files other than ``metrics.json`` may be missing.
    """
    run = Path(run)
    metrics = read_metrics(run / METRICS_FILE)
    samples = {}
    for name in metrics["samplers"]:
        path = samples_file(run, name)
        if path.is_file():
            samples[name] = _read_arrays(path, ("x",))["x"]
    return Evidence(
        run=run,
        metrics=metrics,
        samples=samples,
        real=_optional(run / REAL_FILE, ("x",)).get("x"),
        landscape=_optional(run / LANDSCAPE_FILE, ("axis_x", "axis_y", "before", "after")),
        pairs=_optional(run / PAIRS_FILE, ("before", "after"), ("sampler",)),
        shaping=read_json(run / SHAPING_FILE, HISTORY) or [],
        diagnosis=read_json(run / DIAGNOSIS_FILE, DIAGNOSES) or {},
        sweep=read_sweep(run / SWEEP_FILE) or {},
        weights=_weights(run / "run.yaml"),
        recommendation=read_json(run / RECOMMENDATION_FILE, RECOMMENDED) or {},
        commands=read_json(run / COMMANDS, TYPED) or [],
        warned=read_json(run / WARNED, WARNED_SCHEMA) or {},
    )


def _weights(path: Path) -> dict[str, Any]:
    """What a run file notes of its networks; a report needs none, and none is no fault."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a safe loader
        weights = content["state"]["weights"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return {}
    return weights if isinstance(weights, dict) else {}


def samples_file(run: Path, name: str) -> Path:
    """Where the samples of a row are kept."""
    return run / SAMPLES / f"{file_name(name)}.npz"


def sampler_of_pairs(run: Path) -> str | None:
    """Whose pairs of images are kept; None if there are none, or they cannot be read."""
    try:
        found = _optional(run / PAIRS_FILE, ("before", "after"), ("sampler",))
    except DataError:
        return None
    return str(found["sampler"]) if "sampler" in found else None


def read_metrics(path: Path) -> dict[str, Any]:
    """Read a ``metrics.json``.

    Raises:
        DataError: If it is missing, damaged or of another schema.
    """
    metrics = read_json(path, METRICS, schema=1)
    if not path.parent.is_dir():
        raise DataError(f"{path.parent}: no such folder; give the folder of a run")
    if metrics is None:
        raise DataError(
            f"{path}: no such file; 'gantandem compare {path.parent}' measures the samplers of a "
            "run and writes it"
        )
    if "samplers" not in metrics:
        raise DataError(f"{path}: holds no samplers; run 'gantandem compare' again")
    return metrics


def read_sweep(path: Path) -> dict[str, Any] | None:
    """Read a ``sweep.json``; None if there is none.

    Raises:
        DataError: If it is damaged or of another schema.
    """
    return read_json(path, SWEEP, schema=1)


def _optional(
    path: Path, names: tuple[str, ...], perhaps: tuple[str, ...] = ()
) -> dict[str, Array]:
    return _read_arrays(path, names, perhaps) if path.is_file() else {}


def _read_arrays(
    path: Path, names: tuple[str, ...], perhaps: tuple[str, ...] = ()
) -> dict[str, Array]:
    try:
        found = read_npz(path, names, perhaps)
    except DataError as error:
        raise DataError(f"{error}; make it again") from error
    for name in names:
        if found[name].dtype.kind not in "fiu" or not found[name].size:
            raise DataError(f"{path}: {name} holds no numbers; make the file again")
    return found
