"""Making discriminators useful: shape a guide, fit and calibrate ratios, diagnose them."""

from gantandem.discriminator.calibration import calibrate
from gantandem.discriminator.diagnostics import Diagnosis, diagnose
from gantandem.discriminator.ratio import fit_ratio
from gantandem.discriminator.shaping import shape, shape_discriminator
from gantandem.ratios.calibrators import Calibrator

__all__ = [
    "Calibrator",
    "Diagnosis",
    "calibrate",
    "diagnose",
    "fit_ratio",
    "shape",
    "shape_discriminator",
]
