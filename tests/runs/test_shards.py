"""Samples go on from what is whole, bit for bit; each file is known by its manifest."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal

import numpy as np
import pytest
from typer.testing import CliRunner

from gantandem import Samples
from gantandem.cli import app
from gantandem.errors import InputError, OutputError
from gantandem.runs import drawing, pretrained_run, repair_folder, sample_run, verify_folder
from gantandem.runs.formats import NpzWriter, PngWriter
from gantandem.runs.reading import load_recipe
from gantandem.runs.shards import joined, read_ids, read_shards, say_ids, without
from gantandem.runs.writers import Writer

SIZE = 100
N = 350


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return pretrained_run(load_recipe("imbalanced-8"), tmp_path_factory.mktemp("shards") / "run")


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(Writer, "size", SIZE)
    monkeypatch.setattr(PngWriter, "size", SIZE)


def contents(folder, ending="npz"):
    return {path.name: path.read_bytes() for path in sorted(folder.glob(f"*.{ending}"))}


def stop_after(monkeypatch, count, number=signal.SIGINT):
    """Send a signal while the count-th file is written."""
    whole, calls = Writer._write_counted, []

    def write(self, samples):
        calls.append(1)
        if len(calls) == count:
            signal.raise_signal(number)
        whole(self, samples)

    monkeypatch.setattr(Writer, "_write_counted", write)


@pytest.mark.parametrize("kind", ["npz", "parquet", "webdataset"])
def test_stopped_samples_go_on_to_the_same_files(work, tmp_path, kind):
    ending = {"webdataset": "tar"}.get(kind, kind)
    sample_run(work, "direct", N, tmp_path / "whole", kind=kind, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2, signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt, match="samples are kept"):
            sample_run(work, "direct", N, tmp_path / "cut", kind=kind, seed=3)
    shard = read_shards(tmp_path / "cut")[0][1]  # as of a kill: half a file, and no manifest of all
    (tmp_path / "cut/manifest.json").unlink()
    shard.path.unlink()
    (name,) = shard.files
    (tmp_path / "cut" / name).write_bytes(b"half")
    manifest = sample_run(work, "direct", N, tmp_path / "cut", kind=kind, seed=3, resume=True)
    assert (manifest["returned"], manifest["interrupted"]) == (N, False)
    assert contents(tmp_path / "cut", ending) == contents(tmp_path / "whole", ending)
    assert verify_folder(tmp_path / "cut").faults == []
    again = sample_run(work, "direct", N, tmp_path / "cut", kind=kind, seed=3, resume=True)
    assert again["drawn"] == 0


def test_a_manifest_says_what_its_samples_are(work, tmp_path):
    sample_run(work, "direct", N, tmp_path, seed=3)
    shards, _ = read_shards(tmp_path)
    assert [(shard.first, shard.count) for shard in shards] == [
        (0, 100), (100, 100), (200, 100), (300, 50),
    ]  # fmt: skip
    settings = shards[0].settings
    assert settings["seed"] == 3 and settings["sampler"]["name"] == "direct"
    assert set(settings["weights"]) == {"generator", "guide", "ratio"}
    assert settings["device"] == "cpu" and settings["format"] == "npz"
    assert {"versions", "rng_version", "width", "law"} <= set(settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 4}, "seed: 3, now 4"),
        ({"kind": "parquet"}, "format: 'npz', now 'parquet'"),
        ({"overrides": ["truncation=0.5"]}, "sampler.truncation"),
    ],
)
def test_samples_of_other_settings_are_not_gone_on_from(work, tmp_path, changes, said):
    sample_run(work, "direct", 50, tmp_path, seed=3)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=said):
        sample_run(work, "direct", N, tmp_path, **{"seed": 3, **changes}, resume=True)
    assert contents(tmp_path) == before


def test_files_without_manifests_are_not_gone_on_from(work, tmp_path):
    (tmp_path / "000000000000.npz").write_text("of an earlier version")
    with pytest.raises(InputError, match="no manifest"):
        sample_run(work, "direct", N, tmp_path, resume=True)
    assert (tmp_path / "000000000000.npz").exists()


def test_any_ids_are_those_of_a_longer_call(work, tmp_path):
    sample_run(work, "direct", N, tmp_path / "whole")
    whole = np.concatenate([Samples.load(p).x for p in sorted((tmp_path / "whole").glob("*.npz"))])
    sample_run(work, "direct", 1, tmp_path / "some", ids="3,17,180-220")
    parts = [Samples.load(p) for p in sorted((tmp_path / "some").glob("*.npz"))]
    ids = np.concatenate([part.ids for part in parts])
    assert ids.tolist() == [3, 17, *range(180, 221)]
    assert np.array_equal(np.concatenate([part.x for part in parts]), whole[ids])
    assert verify_folder(tmp_path / "some").faults == []
    manifest = sample_run(work, "direct", 5, tmp_path / "some", start=15, resume=True)
    assert (manifest["drawn"], manifest["asked"]) == (4, "3,15-19,180-220")


def test_faults_are_found_and_damage_is_drawn_again(work, tmp_path):
    sample_run(work, "direct", N, tmp_path)
    before = contents(tmp_path)
    damaged, missing = tmp_path / "000000000100.npz", tmp_path / "000000000200.npz"
    content = bytearray(damaged.read_bytes())
    content[-200] ^= 1
    damaged.write_bytes(content)
    missing.unlink()
    (tmp_path / "notes.txt").write_text("mine")
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert result.exit_code == 1
    for line in ("100.npz: damaged", "200.npz: missing", "notes.txt: extra", "150 samples are"):
        assert line in result.output
    (told,) = [line for line in result.output.splitlines() if "drawn again by: " in line]
    words = shlex.split(told.partition(": ")[2])[1:]  # as it can be pasted
    assert words == ["verify", str(tmp_path), "--repair", str(work.run)]
    (tmp_path / "manifest.json").rename(tmp_path.parent / "away.json")
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert f"gantandem verify {tmp_path} --repair RUN" in result.output
    (tmp_path.parent / "away.json").rename(tmp_path / "manifest.json")
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1 and "350 samples are whole" in result.output, result.output
    assert contents(tmp_path) == before
    (tmp_path / "notes.txt").unlink()
    assert CliRunner().invoke(app, words).exit_code == 0
    (tmp_path / "000000000100.json").unlink()
    faults = verify_folder(tmp_path).faults
    assert any("100.npz: extra" in line for line in faults)
    assert any("ids 100-199: missing" in line for line in faults)
    shutil.copy(tmp_path / "000000000000.json", tmp_path / "000000000555.json")
    assert any("ids 0-99: twice" in line for line in verify_folder(tmp_path).faults)


def test_a_repair_that_gives_another_file_replaces_nothing(work, tmp_path):
    sample_run(work, "direct", 50, tmp_path)
    note = tmp_path / "000000000000.json"
    content = json.loads(note.read_text())
    note.write_text(json.dumps({**content, "files": {"000000000000.npz": "0" * 64}}))
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="not replaced"):
        repair_folder(tmp_path, work)
    assert contents(tmp_path) == before and not list(tmp_path.glob(".repair*"))
    note.write_text(json.dumps({**content, "seed": 1, "files": {"000000000000.npz": "0" * 64}}))
    with pytest.raises(OutputError):
        repair_folder(tmp_path, work)
    note.write_text(
        json.dumps({**content, "sampler": {"name": "os:system"}, "files": {"a": "0" * 64}})
    )
    with pytest.raises(InputError, match="os:system"):
        repair_folder(tmp_path, work)
    note.write_text(json.dumps({"first": 0, "count": 50, "files": {"a": "0" * 64}}))
    with pytest.raises(InputError, match="with which format, sampler, seed, width its samples"):
        repair_folder(tmp_path, work)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("first", -1, "first: Input should be greater"),
        ("count", True, "count: Input should be a valid integer"),
        ("files", {"../../mine": "0" * 64}, "files.../../mine"),
        ("files", {"..": "0" * 64}, "files"),
        ("files", {".lock": "0" * 64}, "files"),
        ("files", {"a.npz": "0"}, "files.a.npz: String should match"),
        ("versions", 3, "versions: Input should be a valid dictionary"),
        ("seed", "1", "seed: Input should be a valid integer"),
    ],
)
def test_a_manifest_with_a_wrong_value_is_told_and_counts_for_nothing(tmp_path, key, value, told):
    content = {"first": 0, "count": 1, "files": {}, "seed": 0, "versions": {}}
    (tmp_path / "000000000000.json").write_text(json.dumps({**content, key: value}))
    shards, (fault,) = read_shards(tmp_path)
    assert not shards
    assert fault.startswith("000000000000.json: damaged: ") and told in fault


@pytest.mark.parametrize("full_from", [6, 7], ids=["file", "manifest"])
@pytest.mark.parametrize("kind", ["npz", "parquet", "webdataset"])
def test_a_full_disk_keeps_what_manifests_say(work, tmp_path, monkeypatch, kind, full_from):
    whole, calls = os.fsync, []

    def full(handle):
        calls.append(1)
        if len(calls) >= full_from:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"No space left.*the first 200 of 350 samples are kept"):
        sample_run(work, "direct", N, tmp_path, kind=kind)
    monkeypatch.undo()
    assert [shard.count for shard in read_shards(tmp_path)[0]] == [100, 100]
    assert len(list(tmp_path.iterdir())) == 5  # manifest.json says what was asked for
    (line,) = verify_folder(tmp_path).faults
    assert "--resume" in line
    assert sample_run(work, "direct", N, tmp_path, kind=kind, resume=True)["drawn"] == 150


def test_a_folder_that_vanishes_is_told_and_not_made_again(work, tmp_path, monkeypatch):
    whole = NpzWriter.write
    calls = []

    def gone(self, samples):
        calls.append(1)
        yield from whole(self, samples)
        if len(calls) == 1:
            return
        pytest.fail("written into a new folder")

    counted = Writer._write_counted

    def vanish(self, samples):
        if calls:
            shutil.rmtree(self.folder)
        counted(self, samples)

    monkeypatch.setattr(NpzWriter, "write", gone)
    monkeypatch.setattr(Writer, "_write_counted", vanish)
    with pytest.raises(OutputError, match="no longer exist.*removed\\? nothing kept"):
        sample_run(work, "direct", N, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_is_tried_before_anything_is_drawn(work, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "sample_iter", lambda *a, **k: pytest.fail("drawn"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="inside"):
        sample_run(work, "direct", N, tmp_path / "file" / "inside")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2_000))
    with pytest.raises(OutputError, match=r"350 samples take .* are free"):
        sample_run(work, "direct", N, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_ids_in_words():
    assert read_ids("3,17, 100-120,18", 1, 0) == [(3, 1), (17, 2), (100, 21)]
    assert read_ids([5, 4], 1, 0) == [(4, 2)] and read_ids(None, 7, 2) == [(2, 7)]
    assert say_ids([(3, 1), (17, 2)]) == "3,17-18"
    assert joined([(5, 5), (0, 3), (8, 4)]) == [(0, 3), (5, 7)]
    assert without([(0, 100)], [(10, 5), (20, 100)]) == [(0, 10), (15, 5)]
    for wrong in ("", "a", "5-3", "-1", "1,,2"):
        with pytest.raises(InputError, match="ids"):
            read_ids(wrong, 1, 0)


def test_a_kill_between_a_file_and_its_manifest_is_gone_on_from(work, tmp_path, monkeypatch):
    sample_run(work, "direct", N, tmp_path / "whole")

    def die(*_):
        os._exit(9)

    child = os.fork()
    if not child:
        monkeypatch.setattr(Writer, "_note", die)
        sample_run(work, "direct", N, tmp_path / "killed")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (tmp_path / "killed" / "000000000000.npz").is_file()
    assert not read_shards(tmp_path / "killed")[0]
    sample_run(work, "direct", N, tmp_path / "killed", resume=True)
    assert verify_folder(tmp_path / "killed").faults == []
    shards, again = (read_shards(tmp_path / name)[0] for name in ("whole", "killed"))
    assert [one.files.keys() for one in shards] == [one.files.keys() for one in again]


def test_numbered_files_of_others_are_not_taken_for_samples(work, tmp_path):
    (tmp_path / "000000000012.png").write_bytes(b"of a data set that numbers its pictures so")
    with pytest.raises(InputError, match="no manifest names the samples in it"):
        sample_run(work, "direct", N, tmp_path, resume=True)
    assert (tmp_path / "000000000012.png").is_file()
