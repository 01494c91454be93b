"""Samples from files: saved, loaded, made again from their manifest; what is none is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_invariance import SAMPLERS, draw, same

from gantandem import Direct, Samples
from gantandem.errors import DataError
from gantandem.samples import FIELDS


def test_save_and_load(tmp_path):
    out = draw(SAMPLERS["obrs"], 50)
    back = Samples.load(out.save(tmp_path / "deep" / "samples.npz"))
    same(back, out)
    assert all(getattr(back, f).dtype == getattr(out, f).dtype for f in FIELDS)
    assert back.manifest == json.loads(json.dumps(out.manifest))
    assert list((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "samples.npz"]


def test_the_manifest_makes_the_samples_again():
    from gantandem import from_config

    out = draw(SAMPLERS["obrs"], 40, seed=9, start=7)
    m = out.manifest
    again = draw(
        from_config(m["sampler"]), m["n"], seed=m["seed"], start=m["start"], width=m["width"]
    )
    same(again, out)
    assert 0 < again.manifest["setup_passes"] <= 1_024 and not again.manifest["setup_cached"]


@pytest.mark.parametrize("damage", ["missing", "truncated", "text", "other"])
def test_files_that_are_no_samples(tmp_path, damage):
    path = draw(Direct(), 10).save(tmp_path / "samples.npz")
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[:-200])
        case "text":
            path.write_text("not samples")
        case "other":
            np.savez(path, x=np.zeros(3))
    with pytest.raises(DataError, match="samples.npz"):
        Samples.load(path)


def test_pickled_files_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "trap.npz", x=np.array([Trap()], dtype=object))
    with pytest.raises(DataError):
        Samples.load(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()
