"""What holds for all tests."""

from __future__ import annotations

import signal


def pytest_configure():
    """A shell without job control starts what it puts in the background deaf to Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
