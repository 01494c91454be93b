"""Files that people bring along: others' weights, labels, samples to judge; and what runs keep."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import load, save

import gantandem as gt
from experiments.fuzz.inputs import broken, changed, odd, plain_odd
from experiments.fuzz.run_files import write
from gantandem import nets, runs
from gantandem.nets.foreign import find_architecture, load_foreign, read_weights
from gantandem.runs.conditions import read_condition
from gantandem.runs.importing import import_run
from gantandem.runs.reading import load_recipe

SPEC = {"net": "mlp-generator", "width": 4, "layers": 2}
CHECKPOINT = "run/checkpoint.safetensors"


def make_files(folder: Path, work: runs.Workspace) -> None:
    """Write what the doors of this module begin with."""
    network = nets.build(dict(SPEC))
    torch.save(_layouts(network.state_dict())[1], folder / "weights.pth")
    write(folder / "weights.safetensors", save(network.state_dict()))
    write(folder / "labels.csv", b"label\n0\n1\n2\n")
    np.save(folder / "labels.npy", np.array([0, 1, 2]))
    np.save(folder / "points.npy", np.zeros((8, 2), np.float32))
    runs.sample_run(work, "direct", 8, folder / "drawn")


def _layouts(state: Any) -> list[Any]:
    """A state as other programs keep it."""
    return [
        dict(state),
        {"g_ema": {f"module.{name}": value for name, value in state.items()}, "iteration": 7},
        {"state_dict": {f"netG.{name}": value for name, value in state.items()}, "args": {"z": 2}},
        [dict(state), {"step": 1}],
    ]


def weight_files(home: Path) -> Any:
    """A weight file, broken; or one of another layout with something changed in it."""
    state = nets.build(dict(SPEC)).state_dict()
    tensors = st.sampled_from(
        [
            torch.zeros(0), torch.tensor(1.0), torch.zeros(4, 2, dtype=torch.int64),
            torch.zeros(2, 4).half(), torch.zeros(4, 2, dtype=torch.complex64), torch.zeros(1, 4),
            torch.full((4, 2), float("nan")), torch.zeros(4, 2).to_sparse(),
        ]
    )  # fmt: skip
    content = st.sampled_from(_layouts(state)).flatmap(
        lambda one: changed(one, st.one_of(tensors, tensors, odd))
    )
    return st.one_of(
        broken((home / "weights.pth").read_bytes()),
        broken((home / "weights.safetensors").read_bytes()),
        content.map(_saved),
    )


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def read_weight_file(content: bytes, home: Path) -> None:
    """Read it, look for its architecture, and load it."""
    path = write(home / "theirs.pth", content)
    for read in (
        lambda: read_weights(path, "generator"),
        lambda: find_architecture(path, "generator"),
        lambda: load_foreign(nets.build(dict(SPEC)), path, "generator", key="g_ema"),
    ):
        try:
            read()
        except gt.GANtandemError:
            pass


IMPORTED = st.fixed_dictionaries(
    {"data": st.sampled_from(["points.npy", "table", "samples.npz", "/nowhere", None])},
    optional={
        "latent": st.one_of(
            st.sampled_from(["normal:2", "normal:2x1x1", "uniform:2:0,1", "uniform:2:1,0",
                             "images:.", "normal:0", "normal:-1", "normal:99999999999", "x", ""]),
            st.text(max_size=8),
        ),
        "condition": st.sampled_from(["labels", "7", "labels.csv", "labels.npy", "x", "", "-1"]),
        "key": st.one_of(st.just("g_ema"), st.text(max_size=6)),
        "strip_prefix": st.one_of(st.just("module."), st.text(max_size=6)),
        "adapt_g": st.lists(
            st.sampled_from(["item=0", "item=x", "os:system", "=", "flat", "range=0,1", ""]),
            max_size=2,
        ),
        "output": st.sampled_from(["logit", "prob", "critic", "x"]),
    },
)  # fmt: skip


def import_files(given: dict[str, Any], home: Path) -> None:
    """Import a weight file with options."""
    given = {k: str(home / v) if _beside(home, v) else v for k, v in given.items()}
    shutil.rmtree(home / "imported", ignore_errors=True)
    import_run(
        home / "imported", generator="mlp-generator", weights_g=home / "weights.pth",
        overrides=("generator.width=4", "generator.layers=2"), **given,
    )  # fmt: skip


def _beside(home: Path, value: Any) -> bool:
    return isinstance(value, str) and value[-4:] in (".npy", ".npz", ".csv", "able")


def labels(home: Path) -> Any:
    """What ``--condition`` takes: words, or a file of them."""
    numbers = st.sampled_from(["0", "1", "-1", "1.5", "nan", "inf", "1e30", "9" * 30, "", "x", '"'])
    table = st.lists(st.lists(numbers, min_size=1, max_size=2).map(",".join), max_size=4)
    return st.one_of(
        st.text(max_size=12).map(lambda text: ("", text)),
        st.sampled_from(["7", "3,5", "9" * 20, "x.csv", "x" * 300 + ".csv", "\x00.npy"]).map(
            lambda text: ("", text)
        ),
        table.map("\n".join).map(str.encode).map(lambda content: (".csv", content)),
        broken((home / "labels.csv").read_bytes()).map(lambda content: (".csv", content)),
        broken((home / "labels.npy").read_bytes()).map(lambda content: (".npy", content)),
    )


def read_labels(given: tuple[str, Any], home: Path) -> None:
    """Read conditions."""
    kind, content = given
    read_condition(str(write(home / f"asked{kind}", content)) if kind else content)


def to_judge(home: Path) -> Any:
    """Files of samples that ``score`` and ``select`` take."""
    kinds = {".npz": "samples.npz", ".npy": "points.npy", ".png": "image.png"}
    kinds |= {".parquet": "images.parquet", ".safetensors": "weights.safetensors"}
    files = [
        broken((home / name).read_bytes()).map(lambda content, kind=kind: (kind, content))
        for kind, name in kinds.items()
    ]
    shapes = st.sampled_from([(0, 2), (8, 2), (2,), (8, 3), (1, 2), (8, 2, 2), (8, 0), ()])
    types = st.sampled_from(["f2", "f4", "f8", "i8", "u1", "?", "c8", "S3", "M8[D]"])
    arrays = st.tuples(shapes, types, st.sampled_from([0, 1, 255])).map(_npy)
    return st.one_of(*files, arrays.map(lambda content: (".npy", content)))


def _npy(given: tuple[tuple[int, ...], str, int]) -> bytes:
    shape, kind, value = given
    buffer = io.BytesIO()
    np.save(buffer, np.full(shape, value).astype(kind), allow_pickle=False)
    return buffer.getvalue()


def judge(given: tuple[str, bytes], home: Path) -> None:
    """Score what is in a file, and accept among it."""
    path = write(home / f"judged{given[0]}", given[1])
    judge = runs.open_judge(home / "run")
    runs.score_run(judge, path)
    runs.select_run(judge, path, "obrs", ["expected=2"])


def checkpoints(home: Path) -> Any:
    """A checkpoint of a training run: broken, or with other entries."""
    content = (home / CHECKPOINT).read_bytes()
    tensors = load(content)
    notes = _notes(content)
    odd_tensors = st.sampled_from(
        [torch.zeros(0), torch.zeros(3), torch.tensor(0.5), torch.zeros(2, dtype=torch.uint8)]
    )
    return st.one_of(
        broken(content),
        changed(notes, plain_odd).map(lambda new: save(tensors, _texts(new))),
        changed(tensors, odd_tensors).map(lambda new: save(_dense(new), notes)),
    )


def _dense(tensors: Any) -> Any:
    tensors = tensors if isinstance(tensors, dict) else {"x": tensors}
    return {name: value.clone() for name, value in tensors.items()}


def _notes(content: bytes) -> dict[str, str]:
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size])["__metadata__"]


def _texts(notes: Any) -> dict[str, str]:
    notes = notes if isinstance(notes, dict) else {"iteration": notes}
    return {
        key.encode("utf-8", "replace").decode(): str(value).encode("utf-8", "replace").decode()
        for key, value in notes.items()
    }


def resume_training(content: bytes, home: Path) -> None:
    """Train on, to more iterations."""
    folder = home / "training"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    write(folder / "checkpoint.safetensors", content)
    words = ("train.iterations=4", "train.batch_size=64")
    runs.train_run(load_recipe("imbalanced-8", words), folder)


def manifests(home: Path) -> Any:
    """A manifest of samples: of a shard, or of all."""

    def one(path: Path) -> Any:
        text = path.read_bytes()
        other = changed(json.loads(text), plain_odd).map(json.dumps)
        return st.tuples(st.just(path.name), st.one_of(broken(text), other))

    return st.sampled_from(sorted((home / "drawn").glob("*.json"))).flatmap(one)


def go_on(given: tuple[str, Any], home: Path) -> None:
    """Verify the samples beside it, repair them, and draw more."""
    shutil.copytree(home / "drawn", home / "copy", dirs_exist_ok=True)
    try:
        write(home / "copy" / given[0], given[1])
        runs.verify_folder(home / "copy")
        work = runs.Workspace(home / "run")
        for act in (
            lambda: runs.repair_folder(home / "copy", work),
            lambda: runs.sample_run(work, "direct", 12, home / "copy", resume=True),
        ):
            try:
                act()
            except gt.GANtandemError:
                pass
    finally:
        shutil.rmtree(home / "copy")
