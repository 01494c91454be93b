"""Making discriminators useful: shape a guide, fit and calibrate ratios, diagnose them."""

from gantandem.discriminator.calibration import Calibrator, calibrate
from gantandem.discriminator.diagnostics import Diagnosis, diagnose
from gantandem.discriminator.ratio import fit_ratio
from gantandem.discriminator.shaping import shape

__all__ = ["Calibrator", "Diagnosis", "calibrate", "diagnose", "fit_ratio", "shape"]
