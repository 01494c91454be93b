"""Compare samplers of a GAN and write the report, in one call."""

from __future__ import annotations

from pathlib import Path

from gantandem.data.real import RealData
from gantandem.discriminator.diagnostics import diagnose
from gantandem.discriminator.parts import parts_for
from gantandem.errors import IncompleteError
from gantandem.evaluate.comparing import Metrics, compare
from gantandem.evaluate.comparison import Comparison
from gantandem.files.locking import locked
from gantandem.gan import GAN
from gantandem.progress import collected
from gantandem.reporting import evidence as files
from gantandem.reporting.caution import diagnoses, laws_of
from gantandem.reporting.keep import keep_result, now, write_json, write_real
from gantandem.reporting.page import write_report
from gantandem.samplers.base import Selector
from gantandem.samplers.named import SamplersLike, as_samplers
from gantandem.settings import check


def report(
    gan: GAN,
    real: RealData,
    samplers: SamplersLike,
    folder: str | Path,
    n: int = 10_000,
    *,
    title: str | None = None,
    metrics: Metrics | None = None,
    seed: int = 0,
    width: int | None = None,
    progress: bool | None = None,
) -> Path:
    """Compare samplers, diagnose the ratios that judge in them, and write a page of all that.

    Args:
        gan: Networks, latent and ratios.
        real: (N, *x_shape) real samples in any form that ``RealData`` names; they are split.
        samplers: Samplers or their names, as for :func:`gantandem.compare`.
        folder: Made if needed. It gets ``report.html``, ``metrics.json`` and the samples; what an
            earlier report left there is replaced.
        n: Samples of each.
        title: Of the page; None for the name of the generator's class.
        metrics: From (n, *x_shape) samples to named numbers; None measures against ``real``.
        seed: Of all samples.
        width: Lanes.
        progress: Show progress bars.

    Returns:
        The path of ``report.html``, one file that needs no other.

    Raises:
        InputError: As :func:`gantandem.compare`.
        DataError: If the real samples do not suit the GAN.
        IncompleteError: If some samplers failed; the report is written of the others.
        LockedError: If another command writes to the folder.
        OutputError: If a file cannot be written.
    """
    check("report gan", GAN, gan)
    parts = parts_for(gan, real, "report real")
    named = as_samplers(gan, samplers)
    options = {"metrics": metrics, "seed": seed, "width": width, "progress": progress}
    incomplete = None
    with collected() as warned:
        try:
            found = compare(gan, named, parts, n, **options)
        except IncompleteError as error:
            if not isinstance(error.finished, Comparison):
                raise
            found, incomplete = error.finished, error
    for name, (_, out) in found.items():
        law, sampler = out.manifest["law"], named[name]
        if isinstance(sampler, Selector) and gan.ratios[law].diagnosis is None:
            told = diagnose(gan, parts, proposal=sampler.proposal, width=width)
            gan = gan.with_diagnosis(told)
    with locked(folder, "report"):
        write_json(Path(folder) / files.WARNED, {"compare": warned})
        path = _write(found, gan, Path(folder), title or type(gan.generator).__name__)
    if incomplete is not None:
        raise incomplete
    return path


def _write(found: Comparison, gan: GAN, folder: Path, title: str) -> Path:
    for old in (files.LANDSCAPE_FILE, files.SHAPING_FILE, files.SWEEP_FILE):
        (folder / old).unlink(missing_ok=True)
    assert found.real is not None  # the data that were given
    write_real(folder, found.real)
    metrics = {**found.metrics, "task": title, "date": now(), "samplers": {}}
    for name, compared in found.items():
        keep_result(folder, gan, metrics, name, compared)
    write_json(folder / files.DIAGNOSIS_FILE, diagnoses(gan, laws_of(found)))
    if gan.history:
        write_json(folder / files.SHAPING_FILE, list(gan.history))
    return write_report(folder)
