"""How numbers are shown, and which of them are the best."""

from __future__ import annotations

import pytest

from gantandem.display.table import COLUMNS, best, show, show_percent


@pytest.mark.parametrize(
    ("share", "text"),
    [(1, "100%"), (0.9996, ">99.9%"), (0.125, "12.5%"), (128, "12,800%"), (1e-7, "<0.001%"),
     (0, "0%"), (None, "–")],
)  # fmt: skip
def test_shares_are_shown_for_people(share, text):
    assert show_percent(share) == text


def test_the_best_is_judged_by_the_way_each_metric_goes():
    column = {column.key: column for column in COLUMNS}

    def winner(key, **values):
        rows = {name: {"metrics": {key: value}} for name, value in values.items()}
        return best({"samplers": rows}, column[key])

    assert winner("good", a=0.5, b=0.9) == {"b"}
    assert winner("kl", a=0.5, b=0.9) == {"a"}
    assert winner("within_mode_std", a=0.8, b=1.1, c=2.0) == {"b"}
    assert winner("within_mode_std_main", a=[1.0, 0.5], b=[0.9, 0.8]) == {"b"}
    assert winner("kl", a=0.00001, b=0.00002, c=0.1) == {"a", "b"}  # shown alike
    assert winner("kl", a=0.1, b=0.1) == set()
    assert winner("kl", a=None, b=0.2, c=0.3) == {"b"}
    assert winner("c2st", a=0.44, b=0.53, c=0.6) == {"b"}
    assert winner("mean_distance", a=0.1, b=0.2) == set()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8, "8"),
        (8.0, "8"),
        (0, "0"),
        (12345.6, "12,346"),
        (0.00012, "0.00012"),
        (1.234e-9, "1e-09"),
        (0.4198, "0.42"),
        (0.9997, "0.9997"),
        (None, "–"),
        (float("nan"), "–"),
        (True, "–"),
    ],
)
def test_numbers_are_shown_for_people(value, text):
    assert show(value) == text
