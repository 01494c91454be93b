"""The recipe for networks of one's own."""

from __future__ import annotations

import pytest

from gantandem.errors import ConfigError, DataError, OutputError
from gantandem.runs import Workspace, train_run
from gantandem.runs.reading import load_recipe
from gantandem.runs.starting import write_recipe
from own_gans import pictures


def test_with_other_names_it_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = write_recipe(tmp_path / "recipe.yaml")
    text = file.read_text()
    for old, new in {
        "path/to/images": str(pictures(tmp_path / "own")),
        "my_networks:Generator": "own_gans:Generator",
        "my_networks:Discriminator": "own_gans:Discriminator",
        "  dim: 100": "  dim: [6, 1, 1]",
        "# width: 64": "width: 4",
        "iterations: 10000": "iterations: 2",
        "batch_size: 64": "batch_size: 8",
    }.items():
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text)
    with pytest.raises(ConfigError, match="--trust"):
        load_recipe(str(file))
    train_run(load_recipe(str(file), trust=True), tmp_path / "run")
    work = Workspace(tmp_path / "run", trust=True)
    assert work.gan.generator.width == 4 and work.recipe.train.iterations == 2
    assert work.task.x_shape == (3, 8, 8) and len(work.real.test) == 12


def test_networks_that_do_not_fit_are_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = [
        f"data={pictures(tmp_path / 'own')}", "range=[-1, 1]", "train.batch_size=8",
        "generator.net=own_gans:Generator", "discriminator.net=own_gans:Discriminator",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="generator does not take latents"):
        train_run(load_recipe("own", [*words, "latent={kind: normal, dim: 6}"]), tmp_path / "run")
    words[0] = f"data={pictures(tmp_path / 'large', size=16)}"
    words.append("latent={kind: normal, dim: [6, 1, 1]}")
    with pytest.raises(DataError, match="resize"):
        train_run(load_recipe("own", words), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_file_is_not_replaced_unasked(tmp_path):
    file = write_recipe(tmp_path / "recipe.yaml")
    with pytest.raises(OutputError, match="exists already"):
        write_recipe(file)
    write_recipe(file, overwrite=True)


def test_what_the_task_needs_is_named(tmp_path):
    with pytest.raises(ConfigError, match="generator, discriminator, latent must be given"):
        train_run(load_recipe("own", ["data=none"]), tmp_path / "run")
