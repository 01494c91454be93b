"""Pictures and a self-contained page of what a run measured."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gantandem.reporting.page import write_report
    from gantandem.reporting.summary import summary_figure

_HOME = {"write_report": "page", "summary_figure": "summary"}

__all__ = ["summary_figure", "write_report"]


def __getattr__(name: str) -> Any:
    """Load a function where it lives, on first use: matplotlib is slow to import."""
    if name in _HOME:
        return getattr(importlib.import_module(f"gantandem.reporting.{_HOME[name]}"), name)
    raise AttributeError(f"module 'gantandem.reporting' has no attribute {name!r}")
