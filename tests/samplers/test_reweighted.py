"""Latents rejected on a fitted w(z) as a sampler: law, cost, conditions, names, files."""

from __future__ import annotations

import json

import pytest
import torch
from test_contract import toy_reweighted
from torch import nn

from commands import TINY, fails, run
from gantandem import (
    GAN,
    OBRS,
    Direct,
    LatentReweight,
    Metropolis,
    Normal,
    Refine,
    ReweightedLatent,
    fit_latent_reweight,
    fit_ratio,
    from_config,
    load_run,
    prepare,
    sample,
    save_run,
    to_config,
)
from gantandem.errors import ConfigError, InputError, LawMismatchError
from gantandem.nets import build, save_weights
from gantandem.testing import check_sampler, toy_gan
from run_files import earlier

# -- the sampler --------------------------------------------------------------------------------


def test_the_contract_on_a_reweighted_latent():
    """Under a selector, and as the latent that any mover starts from."""
    gan = toy_reweighted()
    check_sampler(Metropolis(proposal=LatentReweight(), proposals=3), gan)
    check_sampler(Refine(steps=3), gan.replace(latent=gan.reweighted))


def test_rejections_cost_no_pass_of_generator_or_discriminator():
    gan, calls = toy_reweighted(), {"generator": 0, "discriminator": 0}
    gan.generator.register_forward_hook(lambda *_: count("generator"))
    gan.guide.network.register_forward_hook(lambda *_: count("discriminator"))

    def count(name):
        calls[name] += 1

    def run(sampler, n=200):
        calls.update(generator=0, discriminator=0)
        return sample(gan, sampler, n, width=64), dict(calls)

    plain, wanted = run(Direct())
    ours, found = run(LatentReweight())
    # Every call looks at the networks; no sample takes a look of the discriminator.
    looks = run(LatentReweight(), 1)[1]["discriminator"]
    assert found == wanted and found["discriminator"] == looks
    assert ours.manifest["passes"] == plain.manifest["passes"] == 200
    # Where the first candidate passes, the sample is the plain one; about half of them here.
    same = (ours.z == plain.z).all(1).double().mean()
    assert float(same) == pytest.approx(gan.reweighted.acceptance, abs=0.12)


def test_the_ratio_of_the_generator_does_not_judge_reweighted_samples():
    """Its law names w, so a selector asks for a ratio fitted on it; then it runs."""
    gan = toy_reweighted()
    mover = prepare(gan, LatentReweight())[0]
    assert gan.law(mover) != gan.law(Direct())
    sample(gan, OBRS(pilot=100, expected=2), 10, width=64)
    judged = OBRS(proposal=LatentReweight(), pilot=100, expected=2)
    with pytest.raises(LawMismatchError, match=r"proposal=LatentReweight\("):
        sample(gan, judged, 10, width=64)
    real = 0.5 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    options = {"n": 200, "schedule": [(5, 1e-3)], "batch": 50, "width": 64}
    new = fit_ratio(gan, real, proposal=LatentReweight(), **options)
    assert bool(sample(new, judged, 10, width=64).accepted.all())


def test_as_the_latent_of_the_gan_every_law_changes():
    options = {"n": 500, "schedule": [(20, 1e-2)], "batch": 100, "width": 64}
    gan = toy_gan()
    new = fit_latent_reweight(gan, as_latent=True, **options)
    held = fit_latent_reweight(gan, **options)
    assert new.law(Direct()) != gan.law(Direct()) == held.law(Direct())
    with pytest.raises(LawMismatchError, match="Direct"):
        sample(new, Metropolis(proposals=2), 10, width=64)
    ours = sample(new, Direct(), 64, width=64)
    assert torch.equal(ours.x, sample(held, LatentReweight(), 64, width=64).x)


def test_by_name_and_what_is_missing():
    assert from_config("latent_reweight") == LatentReweight()
    with pytest.raises(InputError, match=r"fit_latent_reweight\(gan\).*fit-ratio RUN"):
        sample(toy_gan(), LatentReweight(), 4)
    gan = toy_reweighted()
    mover = prepare(gan, LatentReweight())[0]
    assert from_config(json.loads(json.dumps(to_config(mover)))) == mover
    with pytest.raises(LawMismatchError, match="holds"):
        sample(gan, LatentReweight(weights="0123456789abcdef"), 4)


def test_an_id_keeps_its_condition():
    class Join(nn.Module):
        def forward(self, z, cond):
            return z + 100 * cond

    gan = GAN(Join(), None, Normal(1), condition=torch.arange(7.0)[:, None])
    gan = gan.replace(reweighted=ReweightedLatent(base=Normal(1), network=nn.Linear(1, 1)))
    out = sample(gan, LatentReweight(), 50, width=64)
    assert torch.equal(((out.x - out.z) / 100).round().long()[:, 0], out.ids % 7)


# -- in a run folder ----------------------------------------------------------------------------


def described() -> GAN:
    specs = {
        "generator": {"net": "mlp-generator", "width": 64, "layers": 3},
        "guide": {"net": "mlp-discriminator", "width": 64, "layers": 3},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        gan = GAN(build(specs["generator"]), build(specs["guide"]), Normal(2))
    return gan.replace(specs=specs)


def test_it_is_saved_and_loaded_with_its_law(tmp_path):
    options = {"n": 500, "schedule": [(20, 1e-2)], "batch": 100, "width": 64, "hidden": 16}
    gan = fit_latent_reweight(described(), budget=99, **options)
    save_run(gan, tmp_path)
    back, _ = load_run(tmp_path)
    assert back.reweighted.config() == gan.reweighted.config()
    a, b = (sample(g, LatentReweight(), 50, width=64) for g in (gan, back))
    assert torch.equal(a.x, b.x) and a.manifest["law"] == b.manifest["law"]
    save_run(back, tmp_path)  # its description came back, too
    save_run(described(), tmp_path)
    assert load_run(tmp_path)[0].reweighted is None, "another GAN's w does not stay behind"


def test_a_reweighting_file_of_other_origin_is_refused(tmp_path):
    save_run(described(), tmp_path)
    earlier(tmp_path)  # which finds files by the names of their roles
    save_weights(nn.Linear(2, 1), tmp_path / "reweighting.safetensors")
    with pytest.raises(ConfigError, match="reweighting.safetensors: damaged"):
        load_run(tmp_path)


@pytest.mark.usefixtures("few_real_data")
@pytest.mark.slow
def test_by_name_on_the_command_line(tmp_path):
    """Fitted by name, sampled by name, judged by name, and compared with others."""
    folder = tmp_path / "run"
    run("-q", "train", "imbalanced-8", "-o", folder, *TINY)
    words = fails("sample", folder, "--sampler", "latent_reweight", wanted=["fit-ratio RUN"])
    assert "Traceback" not in words
    thrifty = "samplers.thrifty={name: obrs, expected: 2, proposal: latent_reweight}"
    run("-q", "fit-ratio", folder, "--samplers", "direct,latent_reweight", thrifty)
    run("-q", "sample", folder, "--sampler", "latent_reweight", "-n", 40, "--out", tmp_path / "a")
    run("-q", "compare", folder, "--samplers", "direct,latent_reweight,thrifty,sir,isir", "-n", 100)
    rows = json.loads((folder / "metrics.json").read_text())["samplers"]
    assert rows["latent_reweight"]["passes_per_sample"] == rows["direct"]["passes_per_sample"] == 1
    assert rows["sir"]["passes_per_sample"] == 10 and rows["isir"]["passes_per_sample"] == 91
    assert rows["thrifty"]["sampler"]["proposal"]["name"] == "latent_reweight"
