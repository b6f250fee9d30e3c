"""Steps and epochs to generalise with other batch sizes, and what decay or noise alone takes from margins."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from general_circuits.analysis import moved_alone, variant_outcomes
from general_circuits.analysis.variant_outcomes import START
from general_circuits.analysis.variants import BASE, BATCH, NOISE, differences
from general_circuits.figures import steps_left, style


def draw(tables: Mapping[str, pd.DataFrame], view: str) -> Figure:
    """Draw steps by batch size, the same in epochs, and what branches without a gradient lose.

    Reads `conditions`, `events` and `progress`.
    """
    conditions = variant_outcomes.settings(tables["conditions"])
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(style.WIDTH, 2.8), width_ratios=[3, 3, 2])
    by_batch = _by_batch(tables)
    colour, other = style.VERDICT_COLOURS["supported"], style.VERDICT_COLOURS["contradicted"]
    steps_left.draw_levels(left, by_batch, colour, "batches")
    noisy = _noisy(tables)
    if noisy:
        steps_left.draw_levels(left, noisy, other, "full batch\nwith added noise")
        left.legend(fontsize="x-small")
    steps_left.label_levels(left, by_batch, noisy)
    n_training = float(conditions[BASE]["examples.training"])
    in_epochs = {batch: rows.assign(steps=rows["steps"] * batch / n_training) for batch, rows in by_batch.items()}
    steps_left.draw_levels(middle, in_epochs, colour)
    steps_left.label_levels(middle, in_epochs)
    for axes, label in ((left, "steps to generalise"), (middle, "epochs to generalise")):
        axes.set_xlabel("examples per batch")
        axes.set_ylabel(label)
    steps_left.draw_lost(right, moved_alone.alone(tables["progress"], conditions))
    return figure


def describe(tables: Mapping[str, pd.DataFrame], view: str) -> str:
    """Give the median steps by batch size."""
    words = [f"{batch:g}: {text}" for batch, text in steps_left.in_words(_by_batch(tables)).items()]
    noisy = [f"{batch:g}: {text}" for batch, text in steps_left.in_words(_noisy(tables)).items()]
    more = f" Full batches with noise like that of smaller batches, by their size: {'; '.join(noisy)}." if noisy else ""
    return f"Median steps to generalise by batch size: {'; '.join(words)}.{more}"


def _by_batch(tables: Mapping[str, pd.DataFrame]) -> dict[float, pd.DataFrame]:
    """Return the steps that each replica took, by batch size, of conditions that differ in it alone."""
    levels = variant_outcomes.levels(variant_outcomes.settings(tables["conditions"]), BATCH)
    return {batch: variant_outcomes.left(tables["events"], name, START) for name, batch in levels.items()}


def _noisy(tables: Mapping[str, pd.DataFrame]) -> dict[float, pd.DataFrame]:
    """Return the steps that full batches with added noise took, by the batch size whose noise they have."""
    conditions, by_size = variant_outcomes.settings(tables["conditions"]), {}
    for name in conditions:
        changed = differences(conditions, name)
        if NOISE in changed and variant_outcomes.place(changed) == START and np.isfinite(changed[NOISE]):
            by_size[float(changed[NOISE])] = variant_outcomes.left(tables["events"], name, START)
    return dict(sorted(by_size.items()))
