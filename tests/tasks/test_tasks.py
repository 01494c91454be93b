"""The built-in tasks: their parts fit together, and their metrics see what they should."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path

import pytest
import scipy.linalg
import torch
import yaml
from torch import Tensor

from gantandem.data.images import load_images, to_range
from gantandem.errors import ConfigError, InputError, WeightsError
from gantandem.evaluate.metrics.images import frechet_distance, image_metrics
from gantandem.nets import build, load_weights
from gantandem.nets.classifier import MNISTClassifier
from gantandem.tasks import TASKS, get_task
from gantandem.training.classifier import accuracy
from gantandem.training.gan import TrainConfig, draw_latent
from local_data import mnist_folder

RECIPES = Path(__file__).parents[2] / "recipes"
ASSETS = Path(str(files("gantandem") / "assets"))


@pytest.mark.parametrize("name", TASKS)
def test_networks_of_a_task_fit_each_other_and_its_latent(name: str) -> None:
    task = get_task(name)
    generator, discriminator = (build(task.networks[r]).eval() for r in task.networks)
    x = generator(draw_latent(task.latent, 4, torch.Generator().manual_seed(0)))
    assert x.shape == (4, *task.x_shape)
    assert discriminator(x).shape == (4,)
    if task.layer != "data":
        generator.get_submodule(task.layer)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_say_what_the_tasks_default_to(path: Path) -> None:
    recipe = yaml.safe_load(path.read_text())
    assert recipe["task"] == path.stem
    assert TrainConfig(**recipe["train"]) == get_task(path.stem).train


def test_unknown_tasks_are_answered_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="did you mean 'imbalanced-8'"):
        get_task("imbalanced8")
    with pytest.raises(ConfigError, match="allowed: balanced-8, grid-25, imbalanced-8, mnist"):
        get_task("no such thing")


def test_points_have_parts_of_the_agreed_sizes() -> None:
    real = get_task("grid-25").real(0)
    sizes = [len(part) for part in (real.fit, real.select, real.calibrate, real.test)]
    assert sizes == [200_000, 20_000, 20_000, 10_000]
    with pytest.raises(ConfigError, match="draws its own data"):
        get_task("grid-25").real(0, "somewhere")


def test_floor_is_what_real_points_score_and_nobody_can_change_it() -> None:
    task = get_task("balanced-8")
    floor = task.floor(2000)
    metrics = task.metrics(task.real(5).test[:2000])
    assert metrics.keys() == floor.keys()
    assert metrics["good"] == pytest.approx(floor["good"], abs=0.003)
    assert metrics["sliced_w1"] == pytest.approx(floor["sliced_w1"], rel=1)
    floor["good"] = -1
    assert task.floor(2000)["good"] > 0.99


def test_shipped_generator_is_stopped_early_as_in_the_paper() -> None:
    task = get_task("imbalanced-8")
    generator, _ = task.pretrained()
    note = load_weights(generator, ASSETS / "imbalanced-8" / "generator.safetensors")
    assert note["iterations"] == "1000" and "gantandem train imbalanced-8" in note["command"]
    with torch.no_grad():
        x = generator(draw_latent(task.latent, 10_000, torch.Generator().manual_seed(0)))
    metrics = task.metrics(x)
    assert 0.1 < metrics["good"] < 0.4  # published: .20
    assert 0.3 < metrics["js"] < 0.5  # published: .44
    with pytest.raises(WeightsError, match="no weights of balanced-8 ship"):
        get_task("balanced-8").pretrained()


def test_distance_of_points_tells_a_shift_from_none() -> None:
    task = get_task("imbalanced-8")
    real = task.real(0)
    near = task.distance(real.test, real.select)
    assert near < 0.1 < task.distance(real.test + 1, real.select)


@pytest.fixture(scope="module")
def test_images() -> Tensor:
    pytest.importorskip("torchmetrics")
    return to_range(load_images(mnist_folder(), "test").pixels)


class TestDigits:
    """Metrics of images on the shipped classifier."""

    @pytest.mark.slow
    def test_parts_have_the_agreed_sizes_and_range(self) -> None:
        real = get_task("mnist").real(0, mnist_folder())
        shapes = [tuple(part.shape) for part in (real.fit, real.select, real.calibrate, real.test)]
        assert shapes == [(n, 1, 28, 28) for n in (50_000, 5_000, 5_000, 10_000)]
        assert real.fit.dtype == torch.float32
        assert real.fit.min() == -1 and real.fit.max() == 1

    @pytest.mark.slow
    def test_shipped_classifier_is_right_on_99_of_100_and_small(self) -> None:
        path = ASSETS / "mnist-classifier.safetensors"
        assert path.stat().st_size < 1_000_000
        score = accuracy(MNISTClassifier.pretrained(), load_images(mnist_folder(), "test"))
        assert score >= 0.99
        note = load_weights(MNISTClassifier(), path)
        assert score == pytest.approx(float(note["test_accuracy"]), abs=5e-4)

    @pytest.mark.slow
    def test_real_digits_score_near_the_best_and_near_themselves(self, test_images: Tensor) -> None:
        floor = get_task("mnist").floor(10_000)
        assert floor["classifier_score"] > 9 and floor["modes"] == 10
        assert 0 < floor["frechet_distance"] < 2
        assert sum(floor["class_shares"]) == pytest.approx(1)

    @pytest.mark.slow
    def test_distance_grows_with_noise_and_sees_a_missing_class(self, test_images: Tensor) -> None:
        task = get_task("mnist")
        noise = torch.Generator().manual_seed(0)
        x, other = test_images[:1000], test_images[1000:2000]
        noisy = [
            (x + scale * torch.randn(x.shape, generator=noise)).clamp(-1, 1) for scale in (0.3, 0.9)
        ]
        values = [task.distance(each, other) for each in (x, *noisy)]
        assert values[0] < values[1] / 2 < values[2] / 2
        assert task.distance(x, x) == pytest.approx(0, abs=1e-4)

    def test_metrics_of_one_repeated_digit_see_the_collapse(self, test_images: Tensor) -> None:
        metrics = image_metrics(test_images[:1].expand(50, -1, -1, -1), test_images[:500])
        assert metrics["modes"] == 1 and max(metrics["class_shares"]) == 1
        assert metrics["classifier_score"] == pytest.approx(1, abs=1e-3)

    def test_frechet_distance_is_that_of_two_gaussians(self, test_images: Tensor) -> None:
        x, y = test_images[:400], test_images[400:900] * 0.7
        a, b = (MNISTClassifier.pretrained().features(part).double() for part in (x, y))
        # Eigenvalues by the symmetric route; the metric itself takes those of the product.
        values, vectors = scipy.linalg.eigh(a.T.cov().numpy())
        root = vectors * values.clip(0) ** 0.5 @ vectors.T
        cross = scipy.linalg.eigvalsh(root @ b.T.cov().numpy() @ root).clip(0) ** 0.5
        wanted = (a.mean(0) - b.mean(0)).square().sum() + a.T.cov().trace() + b.T.cov().trace()
        assert frechet_distance(x, y) == pytest.approx(wanted.item() - 2 * cross.sum(), rel=1e-4)

    def test_metrics_leave_the_global_random_state_alone(self, test_images: Tensor) -> None:
        before = torch.get_rng_state()
        first = image_metrics(test_images[:100], test_images[100:200], seed=1)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(9)
        assert image_metrics(test_images[:100], test_images[100:200], seed=1) == first

    @pytest.mark.parametrize("shape", [(1, 1, 28, 28), (5, 28, 28), (5, 3, 28, 28)])
    def test_images_of_a_wrong_shape_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match=r"allowed is \(N, 1, 28, 28\)"):
            image_metrics(torch.zeros(shape), torch.zeros(5, 1, 28, 28))


def test_metrics_are_plain_numbers() -> None:
    metrics = get_task("imbalanced-8").metrics(torch.zeros(10, 2))
    assert metrics["good"] == 0 and math.isnan(metrics["kl"])
    assert all(isinstance(value, (int, float, list)) for value in metrics.values())
