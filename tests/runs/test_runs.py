"""RUN folders: what is saved comes back, laws included, and damaged files are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import yaml
from torch import distributions as dist
from torch import nn

from gantandem import (
    GAN,
    OBRS,
    Direct,
    Metropolis,
    Normal,
    Refine,
    calibrate,
    diagnose,
    fit_ratio,
    load_run,
    sample,
    save_run,
    shape,
)
from gantandem.errors import ConfigError, InputError, WeightsError
from gantandem.nets import build
from gantandem.nets.hashing import weights_hash
from gantandem.nets.mlp import MLPDiscriminator
from gantandem.samples import FIELDS
from run_files import earlier, one

GENERATOR = {"net": "mlp-generator", "width": 16, "layers": 3}
DISCRIMINATOR = {"net": "mlp-discriminator", "width": 16, "layers": 3}
WIDER = {"net": "mlp-discriminator", "width": 24, "layers": 3}
FIT = {"n": 300, "schedule": [(10, 1e-3)], "batch": 64, "width": 32, "progress": False}
REAL = 0.5 + 0.5 * torch.randn(400, 2, generator=torch.Generator().manual_seed(0))


def seeded(spec, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(spec)


def fresh(latent=None, discriminator=True):
    gan = GAN(
        seeded(GENERATOR),
        seeded(DISCRIMINATOR, 1) if discriminator else None,
        Normal(2) if latent is None else latent,
    )
    specs = {"generator": GENERATOR, **({"guide": DISCRIMINATOR} if discriminator else {})}
    return gan.replace(specs=specs)


@pytest.fixture(scope="module")
def made() -> GAN:
    """Shaped, with ratios of two laws, one of them calibrated and diagnosed."""
    refine = Refine(layer="main.1", steps=4, defensive=0.5)
    options = {"updates": 10, "check_every": 5, "check_samples": 64, "batch": 64, "width": 64}
    gan = shape(fresh(), REAL, refine=refine, progress=False, **options)
    gan = fit_ratio(gan, REAL, **FIT)
    gan = calibrate(gan, REAL, width=32, method="isotonic")
    gan = gan.with_diagnosis(diagnose(gan, REAL, width=32))
    return fit_ratio(gan, REAL, proposal=Refine(steps=2, step_size=0.1, clamp=(-3, 3)), **FIT)


def networks(gan):
    return {
        "generator": gan.generator,
        "guide": gan.guide.network,
        **{law: ratio.score.network for law, ratio in gan.ratios.items()},
    }


def test_everything_comes_back(made, tmp_path):
    save_run(made, tmp_path / "run", {"task": "imbalanced-8", "seed": 3})
    state = torch.get_rng_state()
    back, meta = load_run(tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), state)
    assert meta["task"] == "imbalanced-8" and meta["seed"] == 3
    assert len(made.ratios) == 3
    hashes = [{n: weights_hash(m) for n, m in networks(g).items()} for g in (made, back)]
    assert hashes[0] == hashes[1]
    assert back.proposal == made.proposal and back.latent == made.latent
    assert (back.shaped, back.spread, back.real_logits) == (True, made.spread, made.real_logits)
    assert back.history == made.history and back.setup_passes == made.setup_passes
    for law, ratio in made.ratios.items():
        other = back.ratios[law]
        assert other.calibrator == ratio.calibrator
        assert (other.origin, other.correction) == (ratio.origin, ratio.correction)
        assert other.diagnosis == ratio.diagnosis
        assert (other.strength, other.chosen) == (ratio.strength, ratio.chosen)
    kinds = [r.calibrator.kind for r in back.ratios.values() if r.calibrator is not None]
    assert sorted(kinds) == ["isotonic", "platt"]  # each fit calibrates on what it held out
    assert sum(bool(r.chosen) for r in back.ratios.values()) == 2
    assert sum(r.diagnosis is not None for r in back.ratios.values()) == 1


@pytest.mark.parametrize("selector", [OBRS(expected=2, pilot=200), Metropolis(proposals=3)])
def test_laws_are_still_found_and_samples_are_the_same(made, tmp_path, selector):
    save_run(made, tmp_path)
    back, _ = load_run(tmp_path)
    a, b = (sample(g, replace(selector, proposal=g.proposal), 64, width=64) for g in (made, back))
    for name in FIELDS:
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert a.manifest["law"] == b.manifest["law"]
    assert a.manifest["weights"] == b.manifest["weights"]
    sample(back, Metropolis(proposal=Refine(steps=2, step_size=0.1, clamp=(-3, 3))), 8, width=16)


def test_saving_twice_gives_the_same_folder(made, tmp_path):
    save_run(made, tmp_path / "one")
    save_run(load_run(tmp_path / "one")[0], tmp_path / "two")
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert {p.suffix for p in files} == {".safetensors", ".json", ".yaml"}
    assert sorted(p.name for p in (tmp_path / "one").glob("*.yaml")) == ["run.yaml"]
    for path in files:
        one, two = (tmp_path / folder / path for folder in ("one", "two"))
        if path.suffix == ".yaml":
            assert yaml.safe_load(one.read_text()) == yaml.safe_load(two.read_text())
        else:
            assert one.read_bytes() == two.read_bytes()


def test_without_a_discriminator(tmp_path):
    save_run(fresh(discriminator=False), tmp_path)
    back, _ = load_run(tmp_path)
    assert back.guide is None and back.ratios == {}
    sample(back, Direct(), 8, width=16)


def test_a_guide_is_not_taken_for_the_ratio_of_the_generator(tmp_path):
    gan = fresh(discriminator=False).with_guide(seeded(DISCRIMINATOR, 1))
    gan = gan.replace(specs={**gan.specs, "guide": DISCRIMINATOR})
    save_run(gan, tmp_path)
    assert load_run(tmp_path)[0].ratios == {}


def test_networks_of_several_kinds_keep_their_own_description(tmp_path):
    gan = fit_ratio(
        fresh(), REAL, proposal=Refine(steps=1, step_size=0.1), network=build(WIDER), spec=WIDER,
        as_guide=True, **FIT,
    )  # fmt: skip
    save_run(gan, tmp_path)
    back, _ = load_run(tmp_path)
    widths = {r.origin: r.score.network.main[0].out_features for r in back.ratios.values()}
    assert widths == {"shipped": 16, "fitted": 24}
    assert back.guide.network.main[0].out_features == 24


# -- what cannot be saved -----------------------------------------------------------------------


def test_descriptions_are_needed(tmp_path):
    network = MLPDiscriminator(width=24, layers=3)  # which keeps its arguments nowhere
    gan = GAN(fresh().generator, network, Normal(2)).replace(specs={"generator": GENERATOR})
    with pytest.raises(InputError, match=r"mlp-discriminator.*specs=\{'discriminator': \{'net'"):
        save_run(gan, tmp_path)
    assert not list(tmp_path.iterdir())
    save_run(gan, tmp_path, specs={"discriminator": WIDER})
    assert load_run(tmp_path).gan.guide.network.main[0].out_features == 24


def test_a_description_that_fits_not_gives_way_to_what_the_network_tells(tmp_path):
    gan = fit_ratio(fresh(), REAL, network=build(WIDER), **FIT)
    save_run(gan, tmp_path)
    widths = {r.score.network.main[0].out_features for r in load_run(tmp_path).gan.ratios.values()}
    assert widths == {24}


def test_a_wrong_description_is_noticed_before_it_is_too_late(tmp_path):
    gan = fresh()
    with pytest.raises(InputError, match="does not describe this MLPGenerator"):
        save_run(gan, tmp_path, specs={"generator": {**GENERATOR, "width": 17}})
    assert not list(tmp_path.iterdir())


def test_a_prior_that_no_file_describes_is_given_beside_it(tmp_path):
    law = dist.Laplace(torch.zeros(2), torch.ones(2))
    save_run(fresh(law), tmp_path)
    with pytest.raises(ConfigError, match=r"latent.*normal, uniform.*load\(path, latent"):
        load_run(tmp_path)
    with pytest.raises(InputError, match="latent: got .* but the networks were saved with"):
        load_run(tmp_path, latent=2)
    back = load_run(tmp_path, latent=law).gan
    assert list(back.ratios) == list(fresh(law).ratios)


def test_conditions_that_no_file_can_hold(tmp_path):
    class Shifted(nn.Module):
        def forward(self, z, cond):
            return z + cond[:, None]

    gan = GAN(Shifted(), None, Normal(2), condition=lambda ids: ids)
    with pytest.raises(InputError, match="a function"):
        save_run(gan, tmp_path)


# -- damaged folders ----------------------------------------------------------------------------


def weight_files(folder):
    return {
        "generator": one(folder, "generator"),
        "guide": one(folder, "guide"),
        "ratio": min((folder / "ratios").glob("*.safetensors")),
    }


@pytest.fixture
def folder(made, tmp_path):
    return save_run(made, tmp_path / "run")


@pytest.mark.parametrize("which", ["generator", "guide", "ratio"])
def test_truncated_weights(folder, which):
    path = weight_files(folder)[which]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=rf"{path.name}.*truncated"):
        load_run(folder)


@pytest.mark.parametrize("which", ["generator", "guide", "ratio"])
def test_pickled_weights_are_not_unpickled(folder, which, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = weight_files(folder)[which]
    torch.save({"weights": Trap()}, path)
    with pytest.raises(WeightsError, match="pickled.*not\\s+read"):
        load_run(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("which", ["generator", "guide"])
def test_missing_weights(folder, which):
    weight_files(folder)[which].unlink()
    with pytest.raises(WeightsError, match="no such weight file"):
        load_run(folder)


def edit(folder, **changes):
    path = folder / "run.yaml"
    content = yaml.safe_load(path.read_text())
    content.update(changes)
    path.write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))


def test_weights_of_another_network(folder):
    edit(folder, generator={**GENERATOR, "width": 8})
    with pytest.raises(WeightsError, match="does not fit MLPGenerator"):
        load_run(folder)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"generator": None}, "missing generator"),
        ({"latent": None}, "missing latent"),
        ({"latent": {"kind": "cauchy"}}, "latent kind"),
        ({"generator": {"net": "mlp-genrator"}}, "did you mean 'mlp-generator'"),
    ],
    ids=["no generator", "no latent", "latent", "network"],
)
def test_bad_run_files(folder, changes, words):
    edit(folder, **changes)
    with pytest.raises(ConfigError, match=words):
        load_run(folder)


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "\x00"], ids=repr)
def test_run_files_that_are_no_yaml_mapping(folder, text):
    (folder / "run.yaml").write_text(text)
    with pytest.raises(ConfigError, match="run.yaml"):
        load_run(folder)


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match="not a RUN folder.*gantandem train"):
        load_run(tmp_path)


def test_yaml_cannot_run_code(folder, tmp_path):
    sprung = tmp_path / "sprung"
    (folder / "run.yaml").write_text(f"x: !!python/object/apply:open ['{sprung}', 'w']\n")
    with pytest.raises(ConfigError):
        load_run(folder)
    assert not sprung.exists()


def test_ratio_files_of_others(folder):
    from gantandem.nets import save_weights

    path = min((earlier(folder) / "ratios").glob("*.safetensors"))
    save_weights(build(DISCRIMINATOR), path, {"gantandem": json.dumps({"spec": DISCRIMINATOR})})
    with pytest.raises(ConfigError, match="damaged: origin: Field required"):
        load_run(folder)
