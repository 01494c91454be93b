"""The doors: each reads what somebody else wrote, or takes what a user typed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save

import gantandem as gt
from experiments.fuzz.inputs import broken, changed, odd, plain_odd
from gantandem import runs
from gantandem.latent import make_latent
from gantandem.ratios.calibrators import make_calibrator
from gantandem.reporting import write_report
from gantandem.runs.reading import load_recipe
from gantandem.samplers import SAMPLERS, from_config, to_config
from gantandem.samples import Samples

RECIPE = {
    "task": "imbalanced-8",
    "seed": 1,
    "generator": {"net": "mlp", "inputs": 2, "outputs": 2, "width": 8, "layers": 2},
    "latent": {"kind": "normal", "shape": [2]},
    "train": {"iterations": 3, "batch_size": 64, "learning_rate": 1e-3},
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


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _write(path: Path, content: Any) -> Path:
    path.write_bytes(
        content if isinstance(content, bytes) else str(content).encode("utf-8", "replace")
    )
    return path


def _yaml(value: Any) -> bytes:
    try:
        return yaml.dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    except yaml.YAMLError:
        return repr(value).encode("utf-8", "surrogatepass")


def _recipe(content: bytes, home: Path) -> None:
    recipe = load_recipe(str(_write(home / "recipe.yaml", content)))
    task = runs.task_of(recipe)
    for network in task.networks.values():
        from gantandem.nets import build

        build(dict(network))
    make_latent(dict(task.latent))
    for sampler in recipe.samplers.values():
        from_config(sampler)


def _overrides(words: list[str], home: Path) -> None:
    work = runs.Workspace(home / "run", words)
    work.sampler("mine" if "mine" in work.recipe.samplers else "obrs")


def _files(home: Path, *suffixes: str) -> list[str]:
    found = (path for path in (home / "run").rglob("*") if path.suffix in suffixes)
    return sorted(str(path.relative_to(home)) for path in found)


def _some_file(home: Path, *suffixes: str) -> Any:
    return st.sampled_from(_files(home, *suffixes)).flatmap(
        lambda name: st.tuples(st.just(name), broken((home / name).read_bytes()))
    )


def _some_values(home: Path) -> Any:
    """A YAML or JSON file of the RUN with a change."""

    def values(name: str) -> Any:
        text = (home / name).read_text(encoding="utf-8")
        content = yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)
        by = odd if name.endswith(".yaml") else plain_odd
        return st.tuples(st.just(name), changed(content, by))

    return st.sampled_from(_files(home, ".yaml", ".json")).flatmap(values)


def _use_run(home: Path) -> None:
    work = runs.Workspace(home / "run")
    for name in ("mine", "collaborative", "obrs"):
        if name != "mine" or name in work.recipe.samplers:
            work.sampler(name)


def _changed_file(given: tuple[str, Any], home: Path) -> None:
    name, content = given
    if not isinstance(content, bytes):
        content = (
            _yaml(content)
            if name.endswith(".yaml")
            else json.dumps(content).encode("utf-8", "replace")
        )
    whole = {path: path.read_bytes() for path in (home / name, home / "run" / "run.yaml")}
    try:
        _write(home / name, content)
        _keep_hash(home, whole[home / name], content)
        if name.endswith((".yaml", ".safetensors")):
            _use_run(home)
        if name.endswith((".json", ".npz")):
            write_report(home / "run")
    finally:
        for path, before in whole.items():
            path.write_bytes(before)


def _keep_hash(home: Path, before: bytes, after: bytes) -> None:
    """A run.yaml that names hashes is made to name the new one, so that the reader goes on."""
    import hashlib

    path = home / "run" / "run.yaml"
    old, new = (hashlib.sha256(content).hexdigest() for content in (before, after))
    text = path.read_bytes()
    if old.encode() in text:
        path.write_bytes(text.replace(old.encode(), new.encode()))


def _notes(home: Path) -> Any:
    """A weight file of the RUN whose JSON notes have a change."""

    def values(name: str) -> Any:
        with safe_open(home / name, "pt") as file:
            metadata = file.metadata() or {}
        content = {key: _json(value) for key, value in sorted(metadata.items())}
        return st.tuples(st.just(name), changed(content, plain_odd))

    return st.sampled_from(_files(home, ".safetensors")).flatmap(values)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _changed_notes(given: tuple[str, Any], home: Path) -> None:
    name, notes = given
    with safe_open(home / name, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if not isinstance(notes, dict):
        notes = {"gantandem": notes}
    texts = {
        str(key).encode("utf-8", "replace").decode(): value
        if isinstance(value, str)
        else json.dumps(value)
        for key, value in notes.items()
    }
    texts = {key: value.encode("utf-8", "replace").decode() for key, value in texts.items()}
    _changed_file((name, save(tensors, texts)), home)


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
    found = Samples.load(_write(home / "samples.npz", content))
    repr(found)
    len(found)


def _image(content: bytes, home: Path) -> None:
    from gantandem.data.images import load_images

    folder = home / "pictures"
    folder.mkdir(exist_ok=True)
    _write(folder / "a.png", content)
    load_images(folder)


def _png(home: Path) -> Any:
    return broken((home / "image.png").read_bytes())


def _table(content: bytes, home: Path) -> None:
    from gantandem.data.images import load_images

    folder = home / "table"
    folder.mkdir(exist_ok=True)
    _write(folder / "train.parquet", content)
    load_images(folder)


CONFIGS = [to_config(make()) for make in SAMPLERS.values()]


def _gan() -> gt.GAN:
    from gantandem.testing import toy_gan

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
    from typer.testing import CliRunner

    from gantandem.cli import app

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
        lambda home: st.one_of(st.binary(max_size=60), st.text(max_size=60).map(_encoded)),
        _recipe,
    ),
    "recipe, a value changed": Door(lambda home: changed(RECIPE).map(_yaml), _recipe),
    "recipe, bytes broken": Door(lambda home: broken(_yaml(RECIPE)), _recipe),
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
    "a RUN, a value changed": Door(_some_values, _changed_file, 40),
    "a RUN, weights broken": Door(lambda home: _some_file(home, ".safetensors"), _changed_file, 3),
    "a RUN, notes of weights changed": Door(_notes, _changed_notes, 5),
    "a RUN, run.yaml broken": Door(lambda home: _some_file(home, ".yaml"), _changed_file, 20),
    "a RUN, evidence broken": Door(
        lambda home: _some_file(home, ".npz", ".json"), _changed_file, 40
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
}  # fmt: skip
