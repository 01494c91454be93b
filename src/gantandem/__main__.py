"""``python -m gantandem`` is the ``gantandem`` command."""

from gantandem.cli import main

main()
