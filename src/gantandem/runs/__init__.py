"""The steps from a task to measured samples, each from one run folder to the same run folder.

``train_run`` -> ``shape_run`` -> ``fit_run`` -> ``compare_run`` is the whole collaborative recipe;
``demo`` runs it in one go. Every step leaves the folder complete, so any of them can be repeated.
"""

from gantandem.reporting.keep import write_json
from gantandem.runs.drawing import sample_run
from gantandem.runs.judging import open_judge, score_run, select_run
from gantandem.runs.making import train_run
from gantandem.runs.measuring import (
    DEFAULT_SAMPLERS,
    compare_run,
    default_sampler,
    default_samplers,
)
from gantandem.runs.recommending import recommend_run, verdict_of
from gantandem.runs.steps import (
    calibrate_run,
    diagnose_run,
    fit_run,
    fit_settings,
    shape_run,
)
from gantandem.runs.sweeps import sweep_run
from gantandem.runs.verifying import repair_folder, repairing, verify_folder
from gantandem.runs.whole import demo, pretrained_run
from gantandem.runs.workspace import DEFENSIVE, Workspace, task_of

__all__ = [
    "DEFAULT_SAMPLERS",
    "DEFENSIVE",
    "Workspace",
    "calibrate_run",
    "compare_run",
    "default_sampler",
    "default_samplers",
    "demo",
    "diagnose_run",
    "fit_run",
    "fit_settings",
    "open_judge",
    "pretrained_run",
    "recommend_run",
    "repair_folder",
    "repairing",
    "sample_run",
    "score_run",
    "select_run",
    "shape_run",
    "sweep_run",
    "task_of",
    "train_run",
    "verdict_of",
    "verify_folder",
    "write_json",
]
