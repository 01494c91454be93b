"""Broken and odd input through every door: only our own errors may come out.

``python -m experiments fuzz --json FILE`` tries at least 100,000 inputs; the suite tries a few of
each kind.
"""

from experiments.fuzz.doors import DOORS, Door
from experiments.fuzz.runs import TOTAL, Fault, Home, make_home, run_fuzz, try_door

__all__ = ["DOORS", "TOTAL", "Door", "Fault", "Home", "make_home", "run_fuzz", "try_door"]
