"""What the command line says of mistakes, and what its log and its help say."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import sys

import pytest
from torch import nn

from commands import command, fails, run
from gantandem import adapt
from gantandem.cli import frame
from gantandem.cli.frame import as_command, set_up_log
from run_files import one

pytestmark = pytest.mark.usefixtures("few_real_data")


MISTAKES = {
    "unknown sampler": (["sample", "RUN", "--sampler", "metropols"], ["metropols", "'metropolis'"]),
    "own sampler that is not there": (
        ["sample", "RUN", "--sampler", "no.such:Thing"],
        ["no.such:Thing", "cannot be imported"],
    ),
    "unknown setting": (
        ["sample", "RUN", "--sampler", "refine", "stepz=3"],
        ["refine", "stepz", "'steps'"],
    ),
    "wrong value": (
        ["sample", "RUN", "--sampler", "refine", "steps=0"],
        ["refine steps", "got 0", "1 or more"],
    ),
    "unknown layer": (
        ["sample", "RUN", "--sampler", "refine", "layer=main.99"],
        ["main.99", "main.9"],
    ),
    "a device that is not there": (
        ["sample", "RUN", "--sampler", "direct", "--device", "cuda:99"],
        ["device: got 'cuda:99'", "there are cpu"],
    ),
    "no device at all": (["train", "imbalanced-8", "--device", "gpu"], ["got 'gpu'", "cpu"]),
    "unshaped": (["sample", "RUN"], ["not shaped", "gantandem shape"]),
    "no run": (["sample", "NONE"], ["does not exist", "gantandem train"]),
    "unknown task": (["train", "imbalanced8"], ["imbalanced8", "imbalanced-8"]),
    "unknown key": (["train", "imbalanced-8", "sead=3"], ["sead=3", "did you mean 'seed'"]),
    "no samplers": (["compare", "RUN", "--samplers", ","], ["separated by commas"]),
    "sampler twice": (["compare", "RUN", "--samplers", "direct,direct"], ["direct", "twice"]),
    "nothing measured": (["report", "RUN"], ["metrics.json", "gantandem compare"]),
    "images wanted": (
        ["sample", "RUN", "--sampler", "direct", "--format", "png"],
        ["png", "(2,)", "npz"],
    ),
    "module without a name": (["sample", "RUN", "--sampler", ":"], ["':'", "cannot be imported"]),
    "range": (
        ["sample", "RUN", "--sampler", "direct", "--range", "1,0"],
        ["--range: got '1,0'", "two numbers"],
    ),
    "task of another shape": (
        ["compare", "RUN", "task=mnist", "--samplers", "direct", "-n", "9"],
        ["compare does not use task"],
    ),
    "n too small": (["fit-ratio", "RUN", "fit_ratio.n=1"], ["fit_ratio n", "got 1", "2 or more"]),
    "network of no width": (
        ["train", "imbalanced-8", "generator={net: mlp-generator, width: 0}"],
        ["mlp-generator", "'width': 0"],
    ),
    "data of a task that draws its own": (["shape", "RUN", "data=here"], ["imbalanced-8", "here"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_with_one_message(trained, tmp_path, name):
    words, wanted = MISTAKES[name]
    places = {"RUN": str(trained), "NONE": str(tmp_path / "none")}
    words = [places.get(word, word) for word in words]
    if words[0] in ("sample", "train"):
        words += ["-o", str(tmp_path / "out")]
    fails(*words, wanted=wanted)


@pytest.mark.parametrize("damage", ["truncated", "pickled"])
def test_a_damaged_weight_file_is_named(work, damage):
    path = one(work, "generator")
    content = path.read_bytes()
    path.write_bytes(content[:500] if damage == "truncated" else b"\x80\x04" + content)
    fails("sample", work, wanted=[path.name, damage])


def test_help_and_version_are_quick_and_import_no_torch(tmp_path):
    code = (
        "import sys; from gantandem.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'scipy', 'sklearn', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    line = [sys.executable, "-c", code]
    assert subprocess.run(line, capture_output=True, text=True, timeout=60).returncode == 0
    shown = command("--version", cwd=tmp_path, env={**os.environ, "PYTHONWARNINGS": "error"})
    assert shown.stdout.startswith("gantandem ") and shown.returncode == 0


def test_every_command_has_help():
    text = run("-h").stdout
    for name in ("demo", "train", "shape", "fit-ratio", "calibrate", "diagnose", "sample"):
        assert name in text
        shown = run(name, "-h").stdout
        assert "Usage" in shown and "--device" in shown


def test_a_wrong_option_is_a_usage_error(tmp_path):
    shown = command("sample", "--smapler", "direct", cwd=tmp_path)
    assert shown.returncode == 2
    assert "--smapler" in shown.stderr and "Traceback" not in shown.stderr


# -- what the log says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("put it right: gan = gt.calibrate(gan, real)", "gantandem calibrate RUN)"),
        ("fit one: gan = fit_ratio(gan, real)", "(for a run folder: gantandem fit-ratio RUN)"),
        ("calibrate(gan), or fit_ratio(gan)", "gantandem fit-ratio RUN or gantandem calibrate RUN"),
        ("nothing fits", "nothing fits"),
        ("own_diagnose(x) is no function of ours", "no function of ours"),
    ],
)
def test_messages_that_name_a_function_name_the_command(text, wanted):
    assert as_command(text).startswith(text) and as_command(text).rstrip(")").endswith(
        wanted.rstrip(")")
    )


@pytest.mark.parametrize(("line", "options"), [
    ("adapt.Item(D, 0)", "--adapt-d item=0"),
    ("adapt.Mean(adapt.Item(D, 'maps'), -1)", "--adapt-d item=maps --adapt-d mean=-1"),
    (
        "adapt.Parts(G, (4, 4), 'list') with latent=8",
        "--adapt-g 'parts=[4, 4],how=list' --latent normal:8",
    ),
    ("adapt.AsDict(G, 'label', 'z')", "--adapt-g as-dict=label,input=z"),
    ("adapt.With(G, {'y': None})", """--adapt-g 'with={"y": null}'"""),
    ("adapt.Keyword(G, 'on')", """--adapt-g 'keyword="on"'"""),
    ("adapt.Packed(D, samples)", "adapt.Packed(D, samples)"),
])  # fmt: skip
def test_adapters_in_messages_are_options_of_an_import(line, options):
    said = f"a reason. Write {line} (or not)"
    assert as_command(said, imports=True) == f"a reason. Write {options} (or not)"
    assert as_command(said).startswith("a reason. Write adapt.")
    if options.startswith("--"):
        words = [w for w in shlex.split(options) if "=" in w]
        g = Everything()
        made = adapt.wrapped(g, words)
        own = eval(line.partition(" with")[0], {"adapt": adapt, "G": g, "D": g})
        plain = lambda n: {k: v for k, v in vars(n).items() if k[0] != "_" and k != "training"}  # noqa: E731
        assert type(made) is type(own) and plain(made) == plain(own)


@pytest.mark.parametrize("said", [
    "put the channels first: real.permute(0, 3, 1, 2)",
    "add the channel axis: real[:, None]",
    "map bytes to [-1, 1]: real / 127.5 - 1",
    "map [0, 1] to [-1, 1]: real * 2 - 1",
    "map to bytes: (real + 1) * 127.5",
    "normalise them as the generator's training data were: (real - mean) / std",
    "undo what normalised them (real * std + mean), then map to [0, 1]",
    "make 3 channels of 1: real.expand(-1, 3, -1, -1), then resize: "
    "torch.nn.functional.interpolate(real, size=(8, 8), mode='bilinear', antialias=True)",
])  # fmt: skip
def test_how_to_map_data_is_told_in_words(said):
    told = as_command(f"data a.npy: they differ; {said}")
    assert told.startswith("data a.npy: they differ; ") and told.count(":") == 1
    assert not re.search(r"real|torch|\(", told)
    assert told.count(", then ") == said.count(", then ")
    assert as_command("real: got 3 samples") == "real: got 3 samples"


class Everything(nn.Module):
    def forward(self, *places, **names):
        return places, names


def test_a_warning_is_shown_once(capsys):
    log = logging.getLogger("gantandem.shown_once")
    set_up_log(verbose=False, quiet=False)
    for _ in range(2):
        log.warning("twice")
    log.warning("another")
    shown = capsys.readouterr().err
    assert shown.count("twice") == 1 and "another" in shown


@pytest.mark.slow
def test_an_ascii_terminal_gets_what_it_can_show(work):
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    words = ("--samplers", "direct", "--sweep", "direct.truncation=0.5,1")
    done = command("compare", work, "-n", 16, *words, env=env)
    assert done.returncode == 0, done.stderr
    assert "?" in done.stdout and "truncation" in done.stdout


def test_what_the_machine_refuses_is_one_message(work, monkeypatch):
    fails("report", "x" * 300, wanted=["File name too long"])

    def fill(*args, **given):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("gantandem.runs.sample_run", fill)
    fails("sample", work, "-n", 8, wanted=["out of memory"])


def test_a_file_where_a_folder_is_wanted_and_the_other_way_round(work, tmp_path):
    fails("sample", work / "run.yaml", wanted=["not a run folder (is a file)"])
    (tmp_path / "file").write_text("mine")
    words = ("sample", work, "--sampler", "direct", "-n", 4, "--out")
    fails(*words, tmp_path / "file", wanted=["is a file, but a folder is needed"])
    words = ("compare", work, "--samplers", "direct", "-n", 16, "--json")
    fails(*words, tmp_path, wanted=["is a folder: give the path of a file"])
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_to_repair_from_is_looked_at_although_nothing_is_damaged(work, tmp_path):
    run("sample", work, "--sampler", "direct", "-n", 4, "--out", tmp_path / "s")
    run("verify", tmp_path / "s", "--repair", work)
    fails("verify", tmp_path / "s", "--repair", tmp_path / "no", wanted=["not a run folder"])


@pytest.mark.parametrize("text", ["--latent normal:100: given", ":smile:", "a:+1:b"])
def test_no_word_between_colons_becomes_a_picture(text, capsys):
    for console in (frame.out, frame.err):
        console.print(text, markup=False)
    shown = capsys.readouterr()
    assert text in shown.out and text in shown.err
