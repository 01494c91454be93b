"""Smaller measures and fewer real data, for tests that do not look at the numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest


@contextlib.contextmanager
def quick_measures() -> Iterator[None]:
    """Boosted trees and resampling are most of what a comparison or a fit on the command line
    takes; few of them say no less of a command."""
    from gantandem.discriminator import candidates, diagnostics
    from gantandem.evaluate.metrics import two_sample

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_sample, "TREES", 4)
        patch.setattr(candidates, "TREES", 8)
        patch.setattr(diagnostics, "RESAMPLES", 10)
        yield


@contextlib.contextmanager
def few_real_data() -> Iterator[None]:
    """A tenth of the real data of the 2D task, of which hashes, trees and diagnoses take time."""
    from gantandem import tasks

    with pytest.MonkeyPatch.context() as patch:
        plane = replace(tasks.TASKS["imbalanced-8"], sizes=(20_000, 2_000, 2_000, 2_000))
        patch.setitem(tasks.TASKS, "imbalanced-8", plane)
        yield
