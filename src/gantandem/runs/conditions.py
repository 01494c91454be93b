"""Conditions as they are typed: a label, or a file of them; and those of a user's data."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gantandem.condition import as_condition
from gantandem.data.sources import Opened
from gantandem.errors import DataError, InputError

ROWS = 4096
"""Labels that a RUN keeps, where classes differ in size."""


def read_condition(text: str, where: str = "condition") -> Tensor:
    """Read what is asked for: ``"7"``, ``"3,5,7"``, or a file of rows.

    Args:
        text: Labels, or a ``.csv``, ``.txt`` (a row a line; a heading is left out) or ``.npy``
            file. A column of whole numbers is of labels. Id i gets row i, and after the last row
            the first again.
        where: For messages.

    Raises:
        InputError: If it is none of these, or the rows are no numbers.
    """
    path = Path(text)
    if path.suffix.lower() in (".csv", ".txt", ".npy"):
        if not os.path.isfile(path):  # False of a name that is too long, too
            raise InputError(f"{where}: {text}: no such file")
        rows = _numpy(path) if path.suffix.lower() == ".npy" else _text(path)
        return as_condition(rows, f"{where} {text}")
    try:
        return torch.tensor([int(one) for one in text.split(",")])
    except (ValueError, OverflowError, RuntimeError):
        raise InputError(
            f"{where}: got {text!r}; allowed is a label such as 7, several labels such as 3,5,7, "
            "or a .csv, .txt or .npy file with one row for each sample"
        ) from None


def label_rows(data: Opened, where: str) -> Tensor:
    """The conditions of a GAN that is asked for the labels of its data, in their proportions.

    Raises:
        DataError: If the data have no labels.
    """
    labels = data.labels
    if labels is None:
        raise DataError(
            f"condition: {where} has no labels: labels are the sub-folders of a folder of images, "
            "the column 'label' of Parquet files, or 'label' of an .npz file"
        )
    if labels.dim() == 1 and not labels.is_floating_point():
        kinds, counts = labels.unique(return_counts=True)
        if int(counts.max()) <= 1.05 * int(counts.min()):
            return kinds
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return labels[order[:ROWS]].clone()


def _numpy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:  # of a damaged file NumPy raises many unrelated kinds
        raise InputError(f"condition: {path} cannot be read as an .npy file ({error})") from error


def _text(path: Path) -> Tensor:
    try:
        lines = [row for row in csv.reader(path.read_text("utf-8").splitlines()) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"condition: {path} cannot be read ({error})") from error
    rows: list[list[float]] = []
    for place, line in enumerate(lines):
        try:
            rows.append([float(cell) for cell in line])
        except ValueError:
            if place:
                raise InputError(
                    f"condition: {path}: line {place + 1} holds {','.join(line)!r}; allowed are "
                    "numbers, one row for each sample"
                ) from None
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise InputError(f"condition: {path}; allowed are rows of numbers of equal length")
    table = torch.tensor(rows, dtype=torch.float64)
    if table.shape[1] == 1 and bool((table == table.round()).all()):
        return table[:, 0].long()
    return table.to(torch.get_default_dtype())
