"""A diagnosis in words answers whether to trust a ratio, for what, and what to do next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gantandem.discriminator.diagnostics import Diagnosis, diagnose_probs
from gantandem.display.text import aligned


def diagnosis(**changes) -> Diagnosis:
    noise = np.random.default_rng(0)
    prob = noise.uniform(0.05, 0.95, 4000)
    label = (noise.uniform(size=4000) < prob).astype(int)
    known = {"mean_ratio": 1.01, "effective_share": 0.4, "log_loss": 0.5, "proposal": "refine"}
    errors = {"auc": 0.006, "mean_ratio": 0.02, "effective_share": 0.01, "z": 1.0}
    return replace(diagnose_probs(prob, label), **known, standard_errors=errors, **changes)


CASES = {
    "sound": ({}, "Trust it, as far", "sample with it"),
    "flat": ({"auc": 0.505}, "acceptance by it changes little", "sample with it"),
    "reversed": ({"auc": 0.3}, "Do not trust it: a ratio of 1", "fit another ratio"),
    "worse than nothing": ({"brier": 0.4}, "Do not trust it: a ratio of 1", "fit another ratio"),
    "off": ({"ece": 0.2}, "Do not trust it as it is", "calibrate it"),
    "tail": ({"effective_share": 0.001}, "Trust it for OBRS. Do not", "sample with OBRS"),
    "half": ({"strength": 0.5}, "Trust it to improve", "compare its samples"),
    "nothing": ({"strength": 0.0}, "acceptance changes nothing", "fit another ratio"),
}


@pytest.mark.parametrize("kind", CASES)
def test_what_to_trust_it_for_and_what_to_do_next(kind):
    changes, verdict, advice = CASES[kind]
    found = diagnosis()
    if "effective_share" in changes:
        found = replace(found, standard_errors={**found.standard_errors, "effective_share": 0.001})
    found = replace(found, **changes)
    text = str(found)
    assert text.startswith("The ratio that judges samples of refine, measured on")
    assert verdict in text.splitlines()[1]
    assert f"Next: {advice}" in " ".join(text.split())
    assert all(one in " ".join(text.split()) for one in found.warnings)
    assert repr(found).count("\n") == 0 and "refine" in repr(found)
    assert (f"{len(found.warnings)} doubt" if found.warnings else "no doubts") in repr(found)


def test_numbers_stand_with_their_errors_and_what_is_unknown_is_left_out():
    text = str(diagnosis(seen=0.25))
    lines = {line[2:17].strip(): line[17:].split() for line in text.splitlines()[4:]}
    assert lines["mean ratio"][:4] == ["1.010", "±", "0.020", "mean"]
    assert lines["log loss"][:2] == ["0.5000", "in"]
    assert "fitted on 25% of these real samples" in text
    bare = diagnose_probs(np.array([0.2, 0.8, 0.4, 0.6]), np.array([0, 1, 0, 1]))
    assert "mean ratio" not in str(bare) and "of its proposals" not in str(bare)
    assert "that judges its proposals" in str(bare)
    assert max(map(len, text.splitlines())) <= 100


def test_columns_are_aligned():
    rows = [("a", "10", "x"), ("bcd", "5", "")]
    assert aligned(rows, "lrl", indent=1) == " a    10  x\n bcd   5"
    assert aligned([("a", "10"), ("b", "5")]) == "a  10\nb   5"
