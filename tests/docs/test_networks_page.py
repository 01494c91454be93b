"""The page on networks of others: its example runs, and its table holds every architecture."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from gantandem.nets import build
from gantandem.nets.published import PUBLISHED

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


def test_the_example_does_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = build({"net": "dcgan-generator-32", "filters": 32}).state_dict()
    torch.save({n: v.half() for n, v in weights.items() if "num_batches" not in n}, "netG.pth")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(example, names)
    assert names["spec"] == eval(re.search(r"# (\{.*\})\n", example)[1])
    exec(example.replace("load_foreign(gen", "notes = load_foreign(gen"), names)
    assert names["notes"] == eval(re.search(r"# (\(.*\))\n", example)[1] or "()")
    assert torch.equal(names["generator"].main[0].weight, weights["main.0.weight"].half().float())


def test_every_architecture_is_in_the_table():
    rows = [row for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith("| `")]
    for name in (name for names in PUBLISHED.values() for name in names):
        stem, _, size = name.rpartition("-")
        assert any(
            f"`{name}`" in row or (f"`{stem}-32`" in row and f"`-{size}`" in row) for row in rows
        ), name
