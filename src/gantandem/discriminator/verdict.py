"""A diagnosis in words: what the ratio can be trusted for, and what to do next."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from gantandem.display.table import SCORES, finite, show, show_percent
from gantandem.display.text import aligned
from gantandem.ratios.doubts import find_doubts

if TYPE_CHECKING:
    from gantandem.discriminator.diagnostics import Diagnosis

WIDTH = 96
_SHOWN = ("auc", "brier", "log_loss", "ece", "z", "mean_ratio", "effective_share")


def tell(diagnosis: Diagnosis) -> str:
    """The verdict, the doubts, what to do next, and the numbers with their standard errors."""
    of = f"samples of {diagnosis.proposal}" if diagnosis.proposal else "its proposals"
    size = f"{show(diagnosis.n_real)} real and {show(diagnosis.n_generated)} generated samples"
    if diagnosis.seen:
        size += f"; it was fitted on {show_percent(diagnosis.seen)} of the real ones, which flatter"
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


def verdict(diagnosis: Diagnosis) -> str:
    """What the ratio can be trusted for, in a sentence."""
    kinds = {doubt.kind for doubt in find_doubts(diagnosis)}
    error = diagnosis.standard_errors.get("auc", 0.0)
    if not kinds and abs(diagnosis.auc - 0.5) < max(2 * error, 0.01):
        return "Nothing speaks against it, and acceptance by it changes little."
    if not kinds:
        return "Trust it, as far as these data see: any selector may accept samples by it."
    if "useless" in kinds:
        return "Do not trust it: a ratio of 1 for all samples would judge better."
    if "off" in kinds:
        return "Do not trust it as it is: it may rank samples well, and its values are wrong."
    if "weak" in kinds and not diagnosis.strength:
        return "It does no harm and no good: acceptance changes nothing, as it was fitted."
    if "tail" in kinds:
        return (
            "Trust it for OBRS. Do not trust it for chains and resampling (Metropolis, SIR, MALA)."
        )
    return "Trust it to improve samples. Do not trust it to bring them all the way to the data."


def advice(diagnosis: Diagnosis) -> str:
    """What to do next."""
    kinds = {doubt.kind for doubt in find_doubts(diagnosis)}
    if "useless" in kinds or ("weak" in kinds and not diagnosis.strength):
        return "fit another ratio (fit_ratio), on more data if there are, and diagnose that one"
    if "off" in kinds:
        return "calibrate it and diagnose it again; if that does not help, fit another (fit_ratio)"
    if "tail" in kinds:
        return "sample with OBRS; refined proposals (shape, then fit_ratio) have a lighter tail"
    if kinds:
        return "compare its samples with plain ones (compare); with more data fit another ratio"
    return "sample with it, for example by OBRS, and compare the samples with plain ones (compare)"


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
