"""Faults that a careless change could bring in, each with a test that must notice it.

A mutation names a test and patches one thing; ``test_mutations.py`` shows that the test passes
without it and fails with it. Where a line of source is changed, the line is quoted: if it reads
otherwise one day, the mutation says so and wants adapting.
"""

from __future__ import annotations

from mutating import Mutation
from mutations_engine import ENGINE
from mutations_fits import FITS
from mutations_samplers import SAMPLERS

MUTATIONS: dict[str, Mutation] = {**ENGINE, **SAMPLERS, **FITS}
assert len(MUTATIONS) == len(ENGINE) + len(SAMPLERS) + len(FITS)  # no name is used twice
