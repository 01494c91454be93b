"""A ratio speaks of the weights that it was fitted with: whatever changes in place is noticed."""

from __future__ import annotations

import dataclasses
import json
import logging

import numpy as np
import pytest
import torch
from test_gan import net
from test_laws import law

import gantandem.nets.hashing
from gantandem import (
    DOT,
    GAN,
    MALA,
    OBRS,
    ULA,
    DGFlow,
    Direct,
    LatentOpt,
    Metropolis,
    Normal,
    Real,
    Refine,
    calibrate,
    diagnose,
    fit_ratio,
    load_run,
    prepare,
    sample,
    save_run,
)
from gantandem.discriminator.diagnostics import diagnose_probs
from gantandem.errors import LawMismatchError
from gantandem.latent import make_latent
from gantandem.nets import build
from gantandem.networks.score import Score
from gantandem.ratios.law import Law, near
from gantandem.ratios.ratio import Ratio
from gantandem.tasks import get_task

# -- ratios and their weights -------------------------------------------------------------------


def cloud(n):
    return 0.5 * torch.randn(n, 2, generator=torch.Generator().manual_seed(n))


REAL = Real(fit=cloud(200), select=cloud(50), calibrate=cloud(60), test=cloud(70))


FIT = {"n": 100, "schedule": [(2, 1e-3)], "batch": 20, "width": 16, "progress": False}


SOUND = diagnose_probs(np.repeat([0.4, 0.6], 50), np.tile([0.0, 1.0], 50))


def test_a_discriminator_changed_in_place_loses_its_calibrator(caplog):
    gan = calibrate(GAN(net(2, 8, 2), net(2, 8, 1), 2), REAL, width=16)
    selector = OBRS(expected=2, pilot=64)
    sample(gan, selector, 16, width=16)
    with torch.no_grad():
        gan.guide.network[0].weight.mul_(1.5)
    with pytest.raises(LawMismatchError, match=r"changed after it was.*calibrate\(gan, real"):
        sample(gan, selector, 16, width=16)
    with caplog.at_level(logging.WARNING):
        sample(gan, selector, 16, width=16, strict=False)
    assert "changed after" in caplog.text
    with pytest.raises(LawMismatchError, match="changed after it was"):
        diagnose(gan, REAL, width=16)  # of the old calibrator
    again = calibrate(gan, REAL, width=16)
    diagnose(again, REAL, width=16)
    sample(again, selector, 16, width=16)


def test_a_diagnosis_is_taken_anew_once_the_discriminator_was_changed():
    gan = GAN(net(2, 8, 2), net(2, 8, 1), 2)
    (name,) = gan.ratios
    gan = gan.with_ratio(name, dataclasses.replace(gan.ratios[name], diagnosis=SOUND))
    gan.guide.network[0].weight.data.mul_(1.5)
    with pytest.raises(LawMismatchError, match="changed after it was"):
        sample(gan, OBRS(expected=2, pilot=64), 16, width=16)
    assert diagnose(gan, REAL, width=16).n_real == 70


def test_a_fitted_ratio_changed_in_place_is_refused():
    gan = fit_ratio(GAN(net(2, 8, 2), None, 2), REAL, **FIT)
    (ratio,) = gan.ratios.values()
    assert not ratio.stale
    next(ratio.score.network.parameters()).data.add_(0.1)
    assert ratio.stale
    with pytest.raises(LawMismatchError, match=r"fit_ratio\(gan, real"):
        sample(gan, Metropolis(proposals=2), 16, width=16)


def test_a_shipped_discriminator_that_nothing_speaks_of_may_be_changed():
    gan = GAN(net(2, 8, 2), net(2, 8, 1), 2)
    gan.guide.network[0].weight.data.mul_(1.5)
    sample(gan, Metropolis(proposals=2), 16, width=16)


# -- files --------------------------------------------------------------------------------------

OLD = {
    "cbf54210bf9bf437": Direct(),
    "faf3172a903bb6fb": Refine(step_size=0.1),
    "2de62d01684e40d3": Refine(layer="main.1", steps=4, step_size=0.1, stop="last", update="sgd"),
    "d250ce389b758abf": Refine(step_size=0.1, spread=1.5, defensive=0.5),
    "75fdd700538dbeff": MALA(step_size=0.1, steps=5),
    "02121faf5f3620a4": DGFlow(step_size=0.1),
    "3d8003ea97f8f0d1": LatentOpt(step_size=0.9),
    "5a5354e5715cdca7": ULA(step_size=0.01),
    "d7517f25cada5f65": DOT(lipschitz=2.0, step_size=0.01),
}
"""Names that version 0.1 gave laws of the GAN that ships for imbalanced-8."""


def shipped():
    task = get_task("imbalanced-8")
    nets = task.networks
    specs = {"generator": nets["generator"], "guide": nets["discriminator"]}
    return GAN(*task.pretrained(), make_latent(task.latent)).replace(specs=specs)


@pytest.mark.parametrize("name", OLD)
def test_ratios_of_older_run_folders_are_found(name):
    gan = shipped()
    plain = {"cbf54210bf9bf437": gan.ratios[law(gan, Direct())]}
    gan = gan.replace(ratios=plain)
    held = gan.replace(ratios={**plain, name: Ratio(Score(net(2, 8, 1)))})
    assert law(held, OLD[name]) == name
    other = gan.replace(generator=net(2, 8, 2), guide=Score(net(2, 8, 1)))
    assert other.replace(ratios={"x": held.ratios[name]}).law(Direct()) != name


def test_an_older_run_folder_is_read_and_goes_on(tmp_path):
    gan = shipped()
    spec = {"net": "mlp-discriminator", "width": 8}
    gan = gan.replace(ratios={"cbf54210bf9bf437": Ratio(Score(build(spec)), spec=spec)})
    save_run(gan, tmp_path)
    assert {p.name[:17] for p in (tmp_path / "ratios").iterdir()} == {"cbf54210bf9bf437-"}
    back, _ = load_run(tmp_path)
    out = sample(back, Metropolis(proposals=2), 16, width=64)
    assert out.manifest["law"] == "cbf54210bf9bf437"
    json.dumps(out.manifest)
    again = calibrate(back, REAL, width=64)
    assert list(again.ratios) == ["cbf54210bf9bf437"]


def test_a_law_is_known_again_from_a_file(tmp_path):
    gan = shipped()
    (name,) = gan.ratios
    assert isinstance(name, Law) and name.exact and len(name.traces) == 2
    save_run(gan, tmp_path)
    back, _ = load_run(tmp_path)
    (read,) = back.ratios
    assert (read, read.exact) == (name, name.exact)
    assert all(near(a, b) for a, b in zip(read.traces, name.traces, strict=True))


def test_a_stale_ratio_is_stale_from_a_file_too(tmp_path):
    gan = calibrate(shipped(), REAL, width=64)
    next(gan.guide.network.parameters()).data.add_(0.1)
    save_run(gan, tmp_path)
    (ratio,) = load_run(tmp_path)[0].ratios.values()
    assert ratio.stale


def test_weights_are_hashed_once_while_networks_are_frozen(monkeypatch):
    calls = []

    def counted(tensors):
        calls.append(tensors)
        return whole(tensors)

    whole = gantandem.nets.hashing._hash

    gan = GAN(net(2, 8, 2), net(2, 8, 1), Normal(2))
    monkeypatch.setattr(gantandem.nets.hashing, "_hash", counted)
    with gan.networks.frozen():
        for _ in range(3):
            gan.law(Refine(step_size=0.1)), gan.law(Direct())
    assert len(calls) == 2
    with gan.networks.frozen():
        gan.law(Direct())
    assert len(calls) == 3  # not remembered beyond
    assert prepare(gan, Direct())[1] == 0
