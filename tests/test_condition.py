"""Conditions of ids: the right rows, and no more of a large table on the move than these."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gantandem.condition import SMALL, rows_for


class Moved(Tensor):
    """A tensor that writes down how many rows of it are moved."""

    rows: list = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is Tensor.to:
            cls.rows.append(len(args[0]))
        return super().__torch_function__(func, types, args, kwargs or {})


@pytest.mark.parametrize(
    ("width", "moved"), [(SMALL // 4 // 1000, [1000, 16]), (SMALL // 4 // 1000 + 1, [16])]
)
def test_of_a_large_table_only_the_rows_asked_for_move(width, moved, monkeypatch):
    monkeypatch.setattr(Moved, "rows", [])
    plain = torch.randn(1000, width)
    table = plain.as_subclass(Moved)
    ids = torch.arange(990, 1006)
    assert torch.equal(rows_for(table, ids), plain[ids % 1000])
    assert Moved.rows == moved


def test_a_function_may_answer_from_another_device():
    ids = torch.empty(4, dtype=torch.int64, device="meta")
    assert rows_for(lambda ids: torch.zeros(4, 3), ids).device == ids.device
