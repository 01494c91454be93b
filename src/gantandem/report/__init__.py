"""Pictures and a self-contained page of what a run measured."""

from __future__ import annotations

from gantandem.report.page import write_report
from gantandem.report.summary import summary_figure

__all__ = ["summary_figure", "write_report"]
