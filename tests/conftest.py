"""What holds for all tests."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest


def pytest_configure():
    """A shell without job control starts what it puts in the background deaf to Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def quick_measures():
    """Boosted trees and resampling are most of what a comparison or a fit on the command line
    takes; few of them say no less of a command. Modules that test the numbers override this."""
    from gantandem.discriminator import candidates, diagnostics
    from gantandem.evaluate.metrics import two_sample

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_sample, "TREES", 4)
        patch.setattr(candidates, "TREES", 8)
        patch.setattr(diagnostics, "RESAMPLES", 10)
        yield


@pytest.fixture(scope="module")
def few_real_data():
    """A tenth of the real data of the 2D task, of which hashes, trees and diagnoses take time."""
    from gantandem import tasks

    with pytest.MonkeyPatch.context() as patch:
        plane = replace(tasks.TASKS["imbalanced-8"], sizes=(20_000, 2_000, 2_000, 2_000))
        patch.setitem(tasks.TASKS, "imbalanced-8", plane)
        yield


@pytest.fixture
def no_pixels(monkeypatch):
    """Pages whose figures are made and not rendered, for tests that read the words of a page."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda figure, target, **options: None)
