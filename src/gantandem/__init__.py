"""GANtandem: better samples from a trained GAN, by letting its discriminator work at sampling time.

A GAN is a value: what improves it returns a new one, and your modules are never changed.

    gan = gt.GAN(G, D, latent=gt.Normal(100))     your networks and prior
    gan = gt.fit_ratio(gan, real)                 the ratio that acceptance needs
    print(gt.diagnose(gan, real))                 whether to trust it, and for what
    out = gt.sample(gan, "obrs", n=1000, seed=0)  samples, with what each cost
    print(gt.compare(gan, ["direct", "obrs"], real))

Bring:    GAN, Latent, Normal, Uniform, Real, split_real, refresh_statistics; GAN.from_files of
          weight files, GAN.from_pretrained of a hub, open_data of a folder, a file or a hub;
          layers: where samples can be refined
Improve:  shape (or shape_discriminator), fit_ratio, calibrate, fit_latent_reweight; diagnose
Sample:   sample, sample_iter, prepare; SAMPLERS by name, and as classes (OBRS, Refine, MALA, ...);
          collaborative(gan) is refinement with acceptance; from_config and to_config for JSON
Judge:    score and select, for samples that exist already; score_samples if there is nothing else
Measure:  recommend (which sampler to use); compare, sweep, memorisation, chain_report,
          pareto_front, cautions, report
Keep:     GAN.save and GAN.load; save_run and load_run for a RUN folder of the command line;
          deterministic() for the same bits on an accelerator

``help(gt.fit_ratio)`` and the like tell the rest; every mistake in a call is a ``GANtandemError``.

>>> import gantandem as gt
>>> sorted(gt.SAMPLERS)[:2]
['direct', 'drs']
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gantandem._version import __version__

if TYPE_CHECKING:
    from gantandem.adapt.drop_in import SampledGenerator
    from gantandem.data.real import Real
    from gantandem.discriminator import (
        Diagnosis,
        calibrate,
        diagnose,
        fit_ratio,
        shape,
        shape_discriminator,
    )
    from gantandem.discriminator.latent_weights import ReweightedLatent, fit_latent_reweight
    from gantandem.discriminator.parts import split_real
    from gantandem.engine.sampling import prepare, sample, sample_iter
    from gantandem.errors import GANtandemError
    from gantandem.evaluate.chains import ChainReport, chain_report
    from gantandem.evaluate.comparing import compare
    from gantandem.evaluate.comparison import Compared, Comparison
    from gantandem.evaluate.knobs import Sweep
    from gantandem.evaluate.memorising import Memorisation, memorisation
    from gantandem.evaluate.metrics.pareto import pareto_front
    from gantandem.evaluate.recommendation import Recommendation
    from gantandem.evaluate.recommending import recommend
    from gantandem.evaluate.sweeping import sweep
    from gantandem.gan import GAN
    from gantandem.latent import Inputs, Latent, Normal, Uniform
    from gantandem.networks.devices import deterministic
    from gantandem.networks.layers import layers
    from gantandem.networks.statistics import refresh_statistics
    from gantandem.reporting.caution import cautions
    from gantandem.reporting.report import report
    from gantandem.rng import Key
    from gantandem.runs.folder import load_run, save_run
    from gantandem.samplers import (
        DOT,
        DRS,
        ISIR,
        MALA,
        OBRS,
        SAMPLERS,
        SIR,
        ULA,
        DGFlow,
        Direct,
        Ex2MCMC,
        LatentOpt,
        LatentReweight,
        Metropolis,
        Mover,
        Refine,
        Rejection,
        Selector,
        WangLandau,
        collaborative,
        from_config,
        to_config,
    )
    from gantandem.samples import Samples
    from gantandem.scoring import Scores, Selection, score, score_samples, select
    from gantandem.tasks.own import open_data

_WHERE = {
    "evaluate.chains": ("ChainReport", "chain_report"),
    "evaluate.comparing": ("compare",),
    "evaluate.memorising": ("Memorisation", "memorisation"),
    "evaluate.recommendation": ("Recommendation",),
    "evaluate.recommending": ("recommend",),
    "evaluate.comparison": ("Compared", "Comparison"),
    "data.real": ("Real",),
    "discriminator": (
        "Diagnosis",
        "calibrate",
        "diagnose",
        "fit_ratio",
        "shape",
        "shape_discriminator",
    ),
    "engine.sampling": ("prepare", "sample", "sample_iter"),
    "evaluate.metrics.pareto": ("pareto_front",),
    "evaluate.knobs": ("Sweep",),
    "networks.devices": ("deterministic",),
    "networks.layers": ("layers",),
    "tasks.own": ("open_data",),
    "networks.statistics": ("refresh_statistics",),
    "evaluate.sweeping": ("sweep",),
    "discriminator.parts": ("split_real",),
    "adapt.drop_in": ("SampledGenerator",),
    "errors": ("GANtandemError",),
    "gan": ("GAN",),
    "latent": ("Inputs", "Latent", "Normal", "Uniform"),
    "reporting.caution": ("cautions",),
    "reporting.report": ("report",),
    "rng": ("Key",),
    "discriminator.latent_weights": ("ReweightedLatent", "fit_latent_reweight"),
    "runs.folder": ("load_run", "save_run"),
    "samplers": (
        "DOT",
        "DRS",
        "ISIR",
        "MALA",
        "OBRS",
        "SAMPLERS",
        "SIR",
        "ULA",
        "DGFlow",
        "Direct",
        "Ex2MCMC",
        "LatentOpt",
        "LatentReweight",
        "Metropolis",
        "Mover",
        "Refine",
        "Rejection",
        "Selector",
        "WangLandau",
        "collaborative",
        "from_config",
        "to_config",
    ),
    "samples": ("Samples",),
    "scoring": ("Scores", "Selection", "score", "score_samples", "select"),
}
_HOME = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "DOT",
    "DRS",
    "GAN",
    "ISIR",
    "MALA",
    "OBRS",
    "SAMPLERS",
    "SIR",
    "ULA",
    "ChainReport",
    "Compared",
    "Comparison",
    "DGFlow",
    "Diagnosis",
    "Direct",
    "Ex2MCMC",
    "GANtandemError",
    "Inputs",
    "Key",
    "Latent",
    "LatentOpt",
    "LatentReweight",
    "Memorisation",
    "Metropolis",
    "Mover",
    "Normal",
    "Real",
    "Recommendation",
    "Refine",
    "Rejection",
    "ReweightedLatent",
    "SampledGenerator",
    "Samples",
    "Scores",
    "Selection",
    "Selector",
    "Sweep",
    "Uniform",
    "WangLandau",
    "__version__",
    "calibrate",
    "cautions",
    "chain_report",
    "collaborative",
    "compare",
    "deterministic",
    "diagnose",
    "fit_latent_reweight",
    "fit_ratio",
    "from_config",
    "layers",
    "load_run",
    "memorisation",
    "open_data",
    "pareto_front",
    "prepare",
    "recommend",
    "refresh_statistics",
    "report",
    "sample",
    "sample_iter",
    "save_run",
    "score",
    "score_samples",
    "select",
    "shape",
    "shape_discriminator",
    "split_real",
    "sweep",
    "to_config",
]


if not TYPE_CHECKING:  # a checker knows all names from above, and so a misspelt one

    def __getattr__(name: str) -> Any:
        """Load a public name where it lives, on first use: importing the package stays light."""
        if name in _HOME:
            return getattr(importlib.import_module(f"gantandem.{_HOME[name]}"), name)
        raise AttributeError(f"module 'gantandem' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, which are not there before their first use."""
    return sorted(__all__)
