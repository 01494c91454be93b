"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest

import quick


def pytest_configure():
    """A shell without job control starts what it puts in the background deaf to Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True, name="quick_measures")
def _quick_measures():
    """Modules that test the numbers override this."""
    with quick.quick_measures():
        yield


@pytest.fixture(scope="module", name="few_real_data")
def _few_real_data():
    with quick.few_real_data():
        yield


@pytest.fixture
def no_pixels(monkeypatch):
    """Pages whose figures are made and not rendered, for tests that read the words of a page."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda figure, target, **options: None)
