"""The doors: each reads what somebody else wrote, or takes what a user typed."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from typer.testing import CliRunner

import gantandem as gt
from experiments.fuzz import foreign
from experiments.fuzz.inputs import broken, changed, odd
from experiments.fuzz.run_files import (
    as_yaml,
    changed_file,
    changed_notes,
    changed_notes_of,
    encoded,
    some_file,
    some_values,
    write,
)
from gantandem import runs
from gantandem.cli import app
from gantandem.data.images import load_images
from gantandem.latent import make_latent
from gantandem.nets import build
from gantandem.ratios.calibrators import make_calibrator
from gantandem.runs.reading import load_recipe
from gantandem.samplers import SAMPLERS, from_config, to_config
from gantandem.samples import Samples
from gantandem.testing import toy_gan

RECIPE = {
    "task": "imbalanced-8",
    "seed": 1,
    "generator": {"net": "mlp-generator", "latent_dim": 2, "data_dim": 2, "width": 8},
    "latent": {"kind": "normal", "dim": 2},
    "train": {"iterations": 3, "batch_size": 64, "generator_rate": 1e-3},
    "shape": {"updates": 4, "refine": {"steps": 2, "layer": "data", "step_size": 0.1}},
    "fit_ratio": {"n": 200, "schedule": [[4, 1e-3]]},
    "samplers": {"mine": {"name": "obrs", "expected": 4, "proposal": {"name": "refine"}}},
}


class Door(NamedTuple):
    """Something that takes input.

    Args:
        inputs: From a home (a folder with a RUN and samples that are as they should be) to a
            strategy of inputs.
        enter: Takes one, in a copy of the home, whose RUN it leaves as it was.
        cost: Of one input, relative: dearer doors get fewer.
    """

    inputs: Callable[[Path], Any]
    enter: Callable[[Any, Path], object]
    cost: int = 1


def _recipe(content: bytes, home: Path) -> None:
    recipe = load_recipe(str(write(home / "recipe.yaml", content)))
    task = runs.task_of(recipe)
    with torch.device("meta"):  # which a network of any size fits into
        for network in task.networks.values():
            build(dict(network))
    make_latent(dict(task.latent))
    for sampler in recipe.samplers.values():
        from_config(sampler)


def _overrides(words: list[str], home: Path) -> None:
    work = runs.Workspace(home / "run", words)
    work.sampler("mine" if "mine" in work.recipe.samplers else "obrs")


ARRAYS = st.sampled_from(
    ["f2", "f4", "f8", "i4", "i8", "u1", "?", "c8", "S3", "U3", "M8[D]"]
).flatmap(
    lambda kind: st.sampled_from(
        [(), (0,), (1,), (8,), (8, 2), (2, 8), (8, 3), (8, 2, 2), (8, 1, 4, 4)]
    ).map(lambda shape: np.zeros(shape, kind))
)


def _samples(home: Path) -> Any:
    content = (home / "samples.npz").read_bytes()
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)

    def with_array(pair: tuple[str, Any]) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, **{**arrays, pair[0]: pair[1]})
        return buffer.getvalue()

    odd_arrays = st.tuples(st.sampled_from(sorted(arrays)), ARRAYS).map(with_array)
    return st.one_of(broken(content), odd_arrays)


def _read_samples(content: bytes, home: Path) -> None:
    found = Samples.load(write(home / "samples.npz", content))
    repr(found)
    len(found)


def _image(content: bytes, home: Path) -> None:
    folder = home / "pictures"
    folder.mkdir(exist_ok=True)
    write(folder / "a.png", content)
    load_images(folder)


def _png(home: Path) -> Any:
    return broken((home / "image.png").read_bytes())


def _table(content: bytes, home: Path) -> None:
    folder = home / "table"
    folder.mkdir(exist_ok=True)
    write(folder / "train.parquet", content)
    load_images(folder)


CONFIGS = [to_config(make()) for make in SAMPLERS.values()]


def _gan() -> gt.GAN:
    return toy_gan()


REAL = st.one_of(
    ARRAYS,
    ARRAYS.map(lambda a: torch.from_numpy(a) if a.dtype.kind in "fiub" and a.dtype != "u4" else a),
    odd,
    st.tuples(ARRAYS, ARRAYS),
    st.lists(ARRAYS, max_size=3),
)


def _real(value: Any, home: Path) -> None:
    gt.fit_ratio(_gan(), value, n=200, schedule=((1, 1e-3),), progress=False)


def _sample(given: dict[str, Any], home: Path) -> None:
    n = given.pop("n")
    if isinstance(n, int) and not isinstance(n, bool) and n > 1000:
        n = 1000
    gt.sample(_gan(), given.pop("sampler"), n, progress=False, **given)


ARGUMENTS = st.fixed_dictionaries(
    {
        "n": st.one_of(st.just(8), odd),
        "sampler": st.one_of(st.just("direct"), st.sampled_from(list(SAMPLERS)), odd),
    },
    optional={name: odd for name in ("seed", "start", "strict")}
    | {"width": st.sampled_from([16, 64, 0, -1, "a", None, 2.5, 17])},
)

OPTIONS = (
    "-n --n --seed -s --sampler --samplers --format --range --start --ids --device --out -o --json "
    "--sweep --fit --overwrite --no-strict --resume --again --trust --labels --nothing"
).split()
ASKED = ["8", "0", "-1", "nan", "1e9", "", "x", "0,1", "1,0", "a,b", "png", "npz", "cpu",
         "cuda:99", "direct", "obrs", "direct,obrs", "../../x", "os:system", "3-1", "\x00", "[red]",
         "é"]  # fmt: skip
WORDS = st.tuples(
    st.sampled_from(["sample", "compare", "report", "diagnose", "calibrate"]),
    st.sampled_from(["RUN", "RUN", "RUN", "/nowhere", "", "\x00", "x" * 300]),
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(OPTIONS), st.sampled_from(ASKED)),
            st.tuples(st.sampled_from(OPTIONS)),
            st.tuples(st.sampled_from(["expected=2", "seed=x", "a.b=1", "samplers=", "=", "{"])),
            st.tuples(st.text(max_size=5)),
        ),
        max_size=3,
    ),
)


def _command(given: tuple[str, str, list[tuple[str, ...]]], home: Path) -> None:
    """A command in this process; few samples are asked for."""
    command, run, options = given
    words = [command, str(home / "run") if run == "RUN" else run]
    if command in ("sample", "compare"):
        words += ["-n", "8", *(["--samplers", "direct"] if command == "compare" else [])]
    if command == "sample":
        words += ["--sampler", "direct", "--out", str(home / "drawn"), "--overwrite"]
    words += [word for option in options for word in option]
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception


KEYS = [
    "seed",
    "train.iterations",
    "samplers.mine.expected",
    "shape.refine",
    "data",
    "samplers",
    "x",
]

DOORS: dict[str, Door] = {
    "recipe, any text": Door(
        lambda home: st.one_of(st.binary(max_size=60), st.text(max_size=60).map(encoded)),
        _recipe,
    ),
    "recipe, a value changed": Door(lambda home: changed(RECIPE).map(as_yaml), _recipe),
    "recipe, bytes broken": Door(lambda home: broken(as_yaml(RECIPE)), _recipe),
    "key=value": Door(
        lambda home: st.lists(
            st.one_of(
                st.text(max_size=12),
                st.tuples(
                    st.sampled_from(KEYS),
                    odd,
                ).map(lambda pair: f"{pair[0]}={pair[1]}"),
            ),
            min_size=1, max_size=2,
        ),
        _overrides, 3,
    ),
    "a RUN, a value changed": Door(some_values, changed_file, 40),
    "a RUN, weights broken": Door(lambda home: some_file(home, ".safetensors"), changed_file, 3),
    "a RUN, notes of weights changed": Door(changed_notes_of, changed_notes, 5),
    "a RUN, run.yaml broken": Door(lambda home: some_file(home, ".yaml"), changed_file, 20),
    "a RUN, evidence broken": Door(
        lambda home: some_file(home, ".npz", ".json"), changed_file, 40
    ),
    "samples": Door(_samples, _read_samples),
    "an image": Door(_png, _image),
    "a table of images": Door(
        lambda home: broken((home / "images.parquet").read_bytes()), _table, 30
    ),
    "a sampler's settings": Door(
        lambda home: st.sampled_from(CONFIGS).flatmap(changed),
        lambda value, home: from_config(value),
    ),
    "a latent's settings": Door(
        lambda home: changed({"kind": "normal", "shape": [2]}),
        lambda value, home: make_latent(value),
    ),
    "a calibrator's settings": Door(
        lambda home: st.sampled_from(
            [
                {"kind": "platt", "scale": 1.0, "shift": 0.0},
                {"kind": "isotonic", "logits": [0.0, 1.0], "probs": [0.2, 0.8], "correction": 0.0},
            ]
        ).flatmap(changed),
        lambda value, home: make_calibrator(value),
    ),
    "real data": Door(lambda home: REAL, _real, 60),
    "a command": Door(lambda home: WORDS, _command, 60),
    "arguments of sample": Door(lambda home: ARGUMENTS, _sample, 40),
    "weights of other programs": Door(foreign.weight_files, foreign.read_weight_file, 5),
    "options of import": Door(lambda home: foreign.IMPORTED, foreign.import_files, 40),
    "labels": Door(foreign.labels, foreign.read_labels),
    "samples to judge": Door(foreign.to_judge, foreign.judge, 20),
    "a checkpoint": Door(foreign.checkpoints, foreign.resume_training, 20),
    "a manifest of samples": Door(foreign.manifests, foreign.go_on, 60),
}  # fmt: skip
