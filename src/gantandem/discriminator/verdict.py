"""A diagnosis in words: what the ratio can be trusted for, and what to do next."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from gantandem.display.table import SCORES, finite, show, show_percent
from gantandem.display.text import aligned
from gantandem.ratios.doubts import advice, find_doubts, verdict

if TYPE_CHECKING:
    from gantandem.discriminator.diagnostics import Diagnosis

WIDTH = 96
_SHOWN = ("auc", "brier", "log_loss", "ece", "z", "mean_ratio", "effective_share")


def tell(diagnosis: Diagnosis) -> str:
    """The verdict, the doubts, what to do next, and the numbers with their standard errors."""
    of = f"samples of {diagnosis.proposal}" if diagnosis.proposal else "its proposals"
    size = f"{show(diagnosis.n_real)} real and {show(diagnosis.n_generated)} generated samples"
    if diagnosis.seen:
        size += (
            f"; it was fitted on {show_percent(diagnosis.seen)} of these real samples, so the "
            "numbers are too good"
        )
    doubts = find_doubts(diagnosis)
    paragraphs = [
        f"The ratio that judges {of}, measured on {size}.",
        verdict(diagnosis),
        *(f"* {doubt.said}" for doubt in doubts),
        f"Next: {advice(diagnosis)}.",
    ]
    lines = [
        textwrap.fill(one, WIDTH, subsequent_indent="  " if one.startswith("* ") else "")
        for one in paragraphs
    ]
    return "\n".join([*lines, "", aligned(_numbers(diagnosis), "lrrl", indent=2)])


def _numbers(diagnosis: Diagnosis) -> list[tuple[str, str, str, str]]:
    """Label, value, standard error and meaning of what is known."""
    columns = {column.key: column for column in SCORES}
    rows = []
    for column in map(columns.__getitem__, _SHOWN):
        value = getattr(diagnosis, column.key)
        error = finite(diagnosis.standard_errors.get(column.key))
        if finite(value) is not None:
            noise = "" if error is None else f"± {column.show(error)}"
            rows.append((column.label, column.show(value), noise, column.help))
    return rows
