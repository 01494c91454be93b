"""Samples that exist already: what a ratio says of them, and which of them it accepts."""

from gantandem.scoring.recorded import score_samples
from gantandem.scoring.scores import Scores
from gantandem.scoring.scoring import score
from gantandem.scoring.selecting import Selection, select

__all__ = ["Scores", "Selection", "score", "score_samples", "select"]
