"""Settings: what is accepted, and what the error of each mistake says."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import pytest

from gantandem import fit_ratio, shape
from gantandem.errors import ConfigError
from gantandem.runs.reading import apply_overrides, load_recipe, load_settings, read_yaml
from gantandem.runs.recipe import FitSettings, ShapeSettings, TrainSettings
from gantandem.training.gan import TrainConfig

GOOD = """
task: imbalanced-8
seed: 3
generator: {net: mlp-generator, width: 32}
latent: {kind: normal, dim: 2}
train: {iterations: 50, generator_rate: 5e-3}
shape:
  updates: 100
  refine: {steps: 20, step_size: 1e-1}
fit_ratio: {schedule: [[100, 1e-3], [50, 1e-4]]}
samplers:
  plain: direct
  mine: {name: obrs, expected: 4, proposal: {name: refine, steps: 10}}
"""


def write(folder: Path, text: str, name: str = "recipe.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_recipe_is_read_with_its_nested_samplers(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.seed == 3
    assert recipe.train.generator_rate == 5e-3
    assert recipe.shape.refine == {"steps": 20, "step_size": 0.1}
    assert recipe.fit_ratio.schedule == [(100, 1e-3), (50, 1e-4)]
    assert recipe.samplers["plain"] == {"name": "direct"}
    assert recipe.samplers["mine"]["proposal"]["steps"] == 10


def test_a_task_name_is_a_recipe_with_the_defaults_of_the_task():
    assert load_recipe("grid-25").given() == {"task": "grid-25"}


def test_overrides_reach_nested_keys_and_samplers_given_by_name(tmp_path):
    changes = ["seed=7", "train.iterations=9", "samplers.plain.name=refine", "shape.refine.steps=5"]
    recipe = load_recipe(write(tmp_path, GOOD), changes)
    assert (recipe.seed, recipe.train.iterations) == (7, 9)
    assert recipe.samplers["plain"] == {"name": "refine"}
    assert recipe.shape.refine == {"steps": 5, "step_size": 0.1}


def test_overrides_leave_their_source_alone():
    content = {"train": {"iterations": 5}}
    changed, origins = apply_overrides(content, ["train.iterations=9", "seed=1"])
    assert content == {"train": {"iterations": 5}}
    assert changed == {"train": {"iterations": 9}, "seed": 1}
    assert origins == {("train", "iterations"): "train.iterations=9", ("seed",): "seed=1"}


MISTAKES = {
    "unknown key": ("task: mnist\nsead: 1\n", ["recipe.yaml", "sead", "1", "did you mean 'seed'"]),
    "unknown key inside": (
        "task: mnist\ntrain: {iteratons: 5}\n",
        ["train.iteratons", "5", "did you mean 'iterations'", "batch_size"],
    ),
    "unknown task": (
        "task: imbalanced8\n",
        ["task", "'imbalanced8'", "imbalanced-8", "mnist"],
    ),
    "no task": ("seed: 1\n", ["task", "missing"]),
    "unknown network": (
        "task: mnist\ngenerator: {net: mlp-generater}\n",
        ["generator", "mlp-generater", "mlp-generator"],
    ),
    "network without a name": ("task: own\ngenerator: {width: 3}\n", ["generator", "'net'"]),
    "unknown sampler": (
        "task: mnist\nsamplers: {a: {name: metropols}}\n",
        ["samplers.a", "metropols", "metropolis"],
    ),
    "unknown setting of a nested sampler": (
        "task: mnist\nsamplers: {a: {name: obrs, proposal: {name: refine, stepz: 3}}}\n",
        ["samplers.a", "stepz", "steps"],
    ),
    "value of a sampler": (
        "task: mnist\nsamplers: {a: {name: refine, steps: 0}}\n",
        ["samplers.a", "steps", "0", "1 or more"],
    ),
    "negative iterations": (
        "task: mnist\ntrain: {iterations: -5}\n",
        ["train.iterations", "-5", "greater than 0"],
    ),
    "zero iterations": ("task: mnist\ntrain: {iterations: 0}\n", ["train.iterations", "given 0"]),
    "a word for a number": (
        "task: mnist\ntrain: {batch_size: many}\n",
        ["train.batch_size", "'many'", "integer"],
    ),
    "choice": (
        "task: mnist\ntrain: {optimiser: adamm}\n",
        ["train.optimiser", "'adamm'", "'sgd' or 'adam'"],
    ),
    "negative seed": ("task: mnist\nseed: -1\n", ["seed", "-1"]),
    "border of a normal": (
        "task: mnist\nlatent: {kind: normal, dim: 2, low: 0}\n",
        ["latent", "uniform"],
    ),
    "a list": ("- task\n", ["recipe.yaml", "list", "key: value"]),
    "empty": ("", ["recipe.yaml", "nothing"]),
    "not YAML": ("task: [mnist\n", ["recipe.yaml", "not valid YAML", "line 2"]),
    "twice": ("task: mnist\nseed: 1\nseed: 2\n", ["recipe.yaml", "'seed'", "twice"]),
    "code": ("task: !!python/object/apply:os.getcwd []\n", ["recipe.yaml", "not valid YAML"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_an_error_names_the_file_the_key_the_value_and_what_is_allowed(tmp_path, name):
    text, wanted = MISTAKES[name]
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(tmp_path, text))
    for part in wanted:
        assert part in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(tmp_path, "task: nope\nsead: 1\ntrain: {iterations: 0}\n"))
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("seed", "allowed is key=value"),
        ("=3", "allowed is key=value"),
        ("train..x=3", "allowed is key=value"),
        ("seed=[1", "not YAML"),
        ("seed.x=1", "no keys inside"),
        ("trian.iterations=3", "did you mean 'train'"),
        ("train.iterations=zero", "command line (train.iterations=zero)"),
    ],
)
def test_a_wrong_override_is_named(tmp_path, change, wanted):
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(tmp_path, GOOD), [change])
    assert wanted in str(caught.value)


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_recipe(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="did you mean 'mnist'"):
        load_recipe("minst")


def test_a_folder_without_a_run_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="holds no run.yaml.*gantandem train"):
        load_settings(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(tmp_path / "none")


def test_a_run_file_keeps_the_state_of_the_networks_apart(tmp_path):
    write(tmp_path, "task: mnist\nstate: {shaped: true}\n", "run.yaml")
    assert load_settings(tmp_path).given() == {"task": "mnist"}
    write(tmp_path, "task: mnist\nshaped: true\n", "run.yaml")
    with pytest.raises(ConfigError, match="shaped: unknown key"):
        load_settings(tmp_path)


def test_numbers_in_e_notation_are_numbers_and_words_stay_words(tmp_path):
    text = "a: 1e-3\nb: -2E5\nc: 3\nd: e5\ne: 0x1\nf: 1e\n"
    content = read_yaml(Path(write(tmp_path, text)))
    assert content == {"a": 1e-3, "b": -2e5, "c": 3, "d": "e5", "e": 1, "f": "1e"}


@pytest.mark.parametrize(
    ("section", "names"),
    [
        (TrainSettings, {f.name for f in dataclasses.fields(TrainConfig)}),
        (ShapeSettings, set(inspect.signature(shape).parameters)),
        (FitSettings, set(inspect.signature(fit_ratio).parameters)),
    ],
)
def test_every_setting_of_a_section_exists_where_it_is_used(section, names):
    assert set(section.model_fields) <= names


def test_one_key_of_a_section_leaves_the_task_its_others():
    recipe = load_recipe("imbalanced-8", ["generator.width=32", "latent.dim=3"])
    assert recipe.generator == {"net": "mlp-generator", "width": 32}
    assert recipe.latent is not None and recipe.latent.settings() == {"kind": "normal", "dim": 3}


def test_another_name_takes_the_settings_of_the_older_one_away():
    level = "samplers.level={name: obrs, expected: 4, proposal: {name: direct, truncation: 0.5}}"
    words = ["samplers.level.proposal.steps=3", level, "samplers.level.proposal.name=refine"]
    (sampler,) = load_recipe("imbalanced-8", words[1:] + words[:1]).samplers.values()
    assert sampler["proposal"] == {"name": "refine", "steps": 3}
    assert sampler["expected"] == 4
    same = load_recipe("imbalanced-8", [level, "samplers.level.proposal.name=direct"])
    assert same.samplers["level"]["proposal"]["truncation"] == 0.5
