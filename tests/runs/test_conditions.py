"""Conditions as they are typed, and those of a user's data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gantandem.data.sources import Opened
from gantandem.errors import DataError, InputError
from gantandem.runs.conditions import label_rows, read_condition


def test_labels_and_files(tmp_path):
    assert read_condition("7").tolist() == [7]
    assert read_condition("3,5").tolist() == [3, 5]
    (tmp_path / "labels.csv").write_text("label\n4\n2\n")
    assert read_condition(str(tmp_path / "labels.csv")).tolist() == [4, 2]
    (tmp_path / "rows.txt").write_text("0.5,1\n0,2\n")
    assert read_condition(str(tmp_path / "rows.txt")).tolist() == [[0.5, 1.0], [0.0, 2.0]]
    np.save(tmp_path / "rows.npy", np.array([1, 0], dtype=np.int32))
    assert read_condition(str(tmp_path / "rows.npy")).tolist() == [1, 0]


def test_what_numpy_cannot_read_is_told(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, np.array([1, 0]))
    path.write_bytes(path.read_bytes().replace(b"(2,)", b"(\0\0\0"))  # no ValueError of NumPy
    with pytest.raises(InputError, match="read as an .npy file"):
        read_condition(str(path))
    with pytest.raises(InputError, match="no such file"):
        read_condition("x" * 300 + ".csv")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("seven", "allowed is a label such as 7"), ("none.csv", "no such file"), ("", "allowed is")],
)
def test_what_is_none(text, wanted):
    with pytest.raises(InputError, match=wanted):
        read_condition(text)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [("a\nb\n", "line 2"), ("", "rows of numbers"), ("1,2\n3\n", "of equal length")],
)
def test_files_that_hold_none(tmp_path, content, wanted):
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=wanted):
        read_condition(str(path))


def test_the_labels_of_data_in_their_proportions():
    x = torch.zeros(40, 1)
    assert label_rows(Opened(x, torch.arange(40) % 4), "d").tolist() == [0, 1, 2, 3]
    uneven = (torch.arange(40) == 0).long()
    rows = label_rows(Opened(x, uneven), "d")
    assert len(rows) == 40 and int(rows.sum()) == 1
    with pytest.raises(DataError, match="has no labels"):
        label_rows(Opened(x), "d")
