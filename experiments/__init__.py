"""Studies and benchmarks that repeat what papers and this project's pages say.

``fig3``, ``fig4``, ``table1``: Liu, Kothari and Alahi, Collaborative Sampling in Generative
Adversarial Networks, AAAI 2020, on the imbalanced 8 Gaussians, with our numbers beside the
published ones. The others are this project's own. ``python -m experiments`` lists them.
"""

from __future__ import annotations

from experiments.agreement import AGREEMENT
from experiments.budget import BUDGET
from experiments.fig3 import FIG3
from experiments.fig4 import FIG4
from experiments.mnist import MNIST
from experiments.recommend import RECOMMEND
from experiments.small import SMALL
from experiments.study import Study
from experiments.table1 import TABLE1
from experiments.wlgan import WLGAN

__all__ = ["STUDIES", "Study"]

STUDIES = {
    study.name: study
    for study in (FIG3, FIG4, TABLE1, AGREEMENT, BUDGET, WLGAN, SMALL, RECOMMEND, MNIST)
}
