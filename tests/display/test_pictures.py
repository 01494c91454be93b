"""Densities, close-ups, pixels and curves."""

from __future__ import annotations

import numpy as np
import pytest

from gantandem.display import pictures, plane
from synthetic_run import MODES, mixture


def test_the_density_has_y_first_and_keeps_its_mass():
    view = plane.View(0.0, 0.0, 10.0)
    grid = plane.density(np.array([[5.0, -5.0]] * 10), view)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    assert (row, column) == pytest.approx((100, 300), abs=1)
    assert grid.sum() == pytest.approx(1, abs=1e-3)
    assert view.outside(np.array([[0, 11], [0, 9], [-12, 0], [1, 1]])) == 0.5


def test_the_close_up_is_of_the_heaviest_mode():
    weights = np.array([0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.05, 0.05])
    points = mixture(5000, np.random.default_rng(1), weights=weights)
    view = plane.whole_view(points)
    assert view.outside(points) == 0
    close = plane.close_view(points, view)
    assert (close.x, close.y) == pytest.approx(tuple(MODES[3]), abs=0.02)
    assert close.half == pytest.approx(5 * 0.141, rel=0.1)


def test_pixels_difference_and_grid_are_exact():
    x = np.array([-1.0, 0.0, 1.0, 3.0]).reshape(4, 1, 1, 1)
    tanh = (-1.0, 1.0)
    assert pictures.to_pixels(x, tanh)[:, 0, 0, 0].tolist() == [0, 128, 255, 255]
    change = pictures.difference_pixels(
        np.zeros((3, 1, 1, 1)), np.array([0, 2, -2.0])[:, None, None, None], tanh
    )
    assert change[:, 0, 0].tolist() == [[255, 255, 255], [0, 0, 255], [255, 0, 0]]
    sheet = pictures.grid(pictures.to_pixels(x[:3], tanh), columns=2)
    assert sheet[:, :, 0].tolist() == [[0, 128, 128], [128, 128, 128], [255, 128, 128]]
    colours = np.arange(3.0).reshape(1, 3, 1, 1) / 2
    assert pictures.to_pixels(colours, tanh)[0, 0, 0].tolist() == [128, 191, 255]
