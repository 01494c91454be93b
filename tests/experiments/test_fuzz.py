"""Broken and odd input: only our own errors come out. ``make fuzz`` tries 100,000 inputs."""

from __future__ import annotations

import pytest

from experiments.fuzz import DOORS, TOTAL, make_home, try_door
from experiments.fuzz.doors import RECIPE
from experiments.fuzz.run_files import as_yaml
from small_runs import committed

pytestmark = pytest.mark.usefixtures("few_real_data")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("fuzz") / "home")


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.slow
def test_only_our_own_errors_come_out(home, name):
    tried, faults = try_door(name, home, max(2, 40 // DOORS[name].cost))
    assert tried >= 2
    assert not faults


@pytest.mark.slow
def test_the_recipe_that_is_changed_is_one(home):
    DOORS["recipe, a value changed"].enter(as_yaml(RECIPE), home.folder)


@pytest.mark.slow
def test_a_fault_is_found_and_counted(home, monkeypatch):
    def stumble(value, folder):
        raise KeyError(value)

    name = "a latent's settings"
    monkeypatch.setitem(DOORS, name, DOORS[name]._replace(enter=stumble))
    tried, faults = try_door(name, home, 10)
    assert sum(fault.times for fault in faults) == tried > 0
    assert faults[0].where.startswith("KeyError at test_fuzz.py")


def test_no_foreign_error_came_out_in_the_committed_result():
    found = committed("fuzz")
    assert found["doors"].keys() == DOORS.keys()
    assert sum(row["inputs"] for row in found["doors"].values()) == found["inputs"] >= TOTAL
    assert found["faults"] == 0 and not any(row["faults"] for row in found["doors"].values())
