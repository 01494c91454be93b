"""A sampler's name stands for the sampler in every function that takes one."""

from __future__ import annotations

import pytest
import torch

import gantandem as gt
from gantandem.errors import ConfigError, InputError
from gantandem.testing import toy_gan

REAL = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
SHORT = {"n": 300, "schedule": [(2, 1e-3)], "batch": 50, "progress": False}

TAKES = {
    "sample": lambda gan, name: gt.sample(gan, name, 4),
    "sample_iter": lambda gan, name: next(gt.sample_iter(gan, name, 4)),
    "prepare": lambda gan, name: gt.prepare(gan, name),
    "compare": lambda gan, name: gt.compare(gan, name, REAL, 4),
    "chain_report": lambda gan, name: gt.chain_report(gan, name),
    "SampledGenerator": lambda gan, name: gt.SampledGenerator(gan, name),
    "fit_ratio": lambda gan, name: gt.fit_ratio(gan, REAL, proposal=name),
    "calibrate": lambda gan, name: gt.calibrate(gan, REAL, proposal=name),
    "diagnose": lambda gan, name: gt.diagnose(gan, REAL, proposal=name),
}


@pytest.mark.parametrize("function", TAKES)
def test_a_wrong_name_has_one_message(function):
    with pytest.raises(ConfigError, match="unknown sampler 'orbs'; did you mean 'obrs'"):
        TAKES[function](toy_gan(), "orbs")


def test_a_name_draws_as_the_sampler_does():
    gan = toy_gan()
    named, made = gt.sample(gan, "rejection", 50), gt.sample(gan, gt.Rejection(), 50)
    assert torch.equal(named.x, made.x) and named.manifest["sampler"] == made.manifest["sampler"]
    z = torch.randn(5, 2)
    assert torch.equal(gt.SampledGenerator(gan, "obrs")(z), gt.SampledGenerator(gan, gt.OBRS())(z))


def test_refine_by_name_is_the_one_that_the_gan_was_shaped_for():
    shaped_for = gt.Refine(layer="latent", steps=2, step_size=0.1, defensive=0.5)
    gan = toy_gan().replace(proposal=shaped_for)
    assert gt.prepare(gan, "refine").sampler.steps == 2
    fitted = gt.fit_ratio(gan, REAL, proposal="refine", **SHORT)
    law = fitted.law(gt.prepare(gan, "refine").sampler)
    assert law in fitted.ratios and law != fitted.law(gt.prepare(gan, shaped_for).sampler)


def test_a_selector_stands_for_its_proposals():
    told = gt.diagnose(toy_gan(), REAL, proposal="obrs")
    assert told.law == gt.diagnose(toy_gan(), REAL, proposal="direct").law


def test_chains_by_name():
    report = gt.chain_report(toy_gan(), "mala", chains=2, draws=4, burn_in=0, progress=False)
    assert report.sampler == "mala"
    with pytest.raises(InputError, match="does not make chains"):
        gt.chain_report(toy_gan(), "direct")


def test_a_law_is_that_of_a_prepared_mover():
    with pytest.raises(InputError, match="prepare"):
        toy_gan().law("direct")
