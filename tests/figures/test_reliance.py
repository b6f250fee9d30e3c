"""Accuracy left without units: each replica at its own steps, controls at their partner's, registered rows only."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from ablation_tables import deletions
from matplotlib.axes import Axes
from moment_tables import moments_table

from general_circuits.figures import reliance, style

pytestmark = pytest.mark.filterwarnings("error")

CONDITIONS = ("grokking", "random_labels", "too_little_data", "no_delay")
STEPS = (0, 90, 100, 110, 1000, 1250, 2500)
Reached = Mapping[str, list[float]]
REACHED: Reached = {"memorised": [90, 110, 100], "generalised": [1000, 1000, 2000]}
"""Steps at which three replicas reach the events; their late steps are 1,250, 1,250 and 2,500."""
NEVER = np.nan


def left(condition: str, replica: int, step: int, ranking: str, share: float) -> float:
    """Return accuracy that falls linearly from 1 at no deletion to 0.

    It passes a half at a known share of units, which the figure should report.
    """
    breaks = {
        ("grokking", 100): {"random": 0.25, "top": 0.5},
        ("grokking", 1250): {"random": 0.75, "top": 0.25},
        ("grokking", 2500): {"random": 0.75, "top": 0.25},
        ("random_labels", 1250): {"random": 0.1, "top": 0.1},
        ("random_labels", 2500): {"random": 0.1, "top": 0.1},
        ("no_delay", 1250): {"random": 2.0, "top": 0.75},
        ("no_delay", 2500): {"random": 2.0, "top": 0.75},
    }
    known = breaks.get((condition, 100 if step in REACHED["memorised"] else step), {})
    return float(np.clip(1 - share / (2 * known.get(ranking, 0.01)), 0, 1))


def tables(conditions: tuple[str, ...] = CONDITIONS, reached: Reached = REACHED) -> dict[str, pd.DataFrame]:
    partner = pd.DataFrame({**reached, "onset": reached["generalised"]}, index=pd.RangeIndex(3, name="replica"))
    return {
        "ablation": deletions(conditions, left, STEPS),
        "moments": moments_table(partner, dict.fromkeys(conditions, reached["memorised"]), last=STEPS[-1]),
    }


def drawn(frames: Mapping[str, pd.DataFrame], what: str = "accuracy") -> list[Axes]:
    with style.theme():
        figure = reliance.draw(frames, what)
        figure.canvas.draw()
        box, size = figure.get_tightbbox(), figure.get_size_inches()
        plt.close(figure)
    assert min(box.x0, box.y0) >= -0.02
    assert (box.x1, box.y1) <= (size[0] + 0.02, size[1] + 0.02)
    assert size[0] <= style.WIDTH
    return list(figure.axes)


def curves(axes: Axes) -> list[tuple[str, dict[float, float]]]:
    """Return the style of each line, and its mean at each share."""
    return [
        (line.get_linestyle(), {float(x): round(float(y), 9) for x, y in line.get_xydata()})
        for line in axes.lines
        if line.get_marker() == "None"
    ]


def test_each_line_is_read_at_its_moment_under_each_ranking() -> None:
    """Draws of ± 0.05 are averaged, and rows that are not registered are left out."""
    random, top = (curves(axes) for axes in drawn(tables()))
    shares = [0, 0.125, 0.25, 0.5, 0.75, 1]
    at = {"memorised": ("grokking", 100), "late": ("grokking", 1250), "labels": ("random_labels", 1250)}
    wanted = [*at.values(), ("no_delay", 1250)]
    for ranking, lines in (("random", random), ("top", top)):
        assert [kind for kind, _ in lines] == ["--", "-", "-", "-"]
        for (condition, step), (_, curve) in zip(wanted, lines, strict=True):
            assert curve == {share: round(left(condition, 0, step, ranking, share), 9) for share in shares}


def test_each_replica_is_read_at_its_own_checkpoint_and_a_control_at_its_partners() -> None:
    """Replica 2 is late at step 2,500, where random labels have a value that they have nowhere else."""

    def only_there(condition: str, replica: int, step: int, ranking: str, share: float) -> float:
        is_there = step == (2500 if replica == 2 else 1250)
        return 1.0 if share == 0 else 0.9 if is_there else 0.1

    frames = {**tables(), "ablation": deletions(CONDITIONS, only_there, STEPS)}
    memorised, *late = curves(drawn(frames)[1])
    assert set(memorised[1].values()) == {1.0, 0.1}
    assert [set(curve.values()) for _, curve in late] == [{1.0, 0.9}] * 3


def test_the_description_gives_the_shares_at_which_half_is_lost() -> None:
    assert reliance.describe(tables(), "accuracy") == (
        "Half of the accuracy is lost with (medians over replicas): grokking memorised, 25 % of random units and 50 %"
        " of the most salient; grokking late, 75 % of random units and 25 % of the most salient; random labels at the"
        " same steps as late, 10 % of random units and 10 % of the most salient; no delay at the same steps as late,"
        " > 100 % of random units and 75 % of the most salient."
    )


def test_names_start_with_the_network_that_bears_most_random_deletions() -> None:
    texts = [text.get_text() for text in drawn(tables())[1].texts]
    assert texts[::3] == ["no delay", "grokking", "grokking", "random labels"]
    assert texts[1::3][1:3] == ["late", "memorised (dashed)"]
    assert texts[2::3][1] == "half lost (median): random 75 %, top 25 %"


def test_a_memorised_network_is_read_exactly_at_t_m() -> None:
    """A checkpoint nearby may be of a network that had not memorised yet."""
    frames = tables(reached={**REACHED, "memorised": [95, 95, 95]})
    assert [kind for kind, _ in curves(drawn(frames)[1])] == ["-", "-", "-"]
    assert "grokking memorised" not in reliance.describe(frames, "accuracy")


@pytest.mark.parametrize(
    ("curve", "share"),
    [
        ([1.0, 0.75, 0.25, 0.0], 0.5),
        ([0.8, 0.4, 0.4, 0.4], 0.25),
        ([1.0, 1.0, 1.0, 0.6], np.inf),
        ([1.0, 0.9, 0.0, 0.9], 0.25 + 0.5 * 4 / 9),
        ([4.0, -4.0, -4.0, -4.0], 0.0625),
    ],
)
def test_half_is_lost_at_the_first_share_that_leaves_half(curve: list[float], share: float) -> None:
    table = pd.DataFrame({0: curve}, index=[0.0, 0.25, 0.75, 1.0])
    assert reliance.half_at(table) == pytest.approx(share)


def test_the_share_over_replicas_is_a_median_that_counts_replicas_that_never_lose_half() -> None:
    table = pd.DataFrame({0: [1.0, 0.5, 0.0], 1: [1.0, 0.0, 0.0], 2: [1.0, 1.0, 1.0]}, index=[0.0, 0.5, 1.0])
    assert reliance.half_at(table) == 0.5
    assert reliance.half_at(table[[0, 2]]) == np.inf
    assert np.isnan(reliance.half_at(pd.DataFrame()))
    assert np.isnan(reliance.half_at(table[[0]] - 2))  # nothing to lose


@pytest.mark.parametrize("what", ["accuracy", "margin"])
def test_without_grokking_the_first_condition_is_shown_without_controls_of_itself(what: str) -> None:
    frames = tables(("random_labels", "no_delay"))
    parts = reliance.describe(frames, what).split(": ")[1].split("; ")
    names = ["random labels memorised", "random labels late", "no delay at the same steps as late"]
    assert [part.split(",")[0] for part in parts] == names
    assert len(curves(drawn(frames, what)[0])) == 3


def test_a_replica_that_did_not_generalise_is_left_out_and_without_any_the_figure_says_so() -> None:
    one = tables(reached={"memorised": [90, 110, 100], "generalised": [1000, NEVER, NEVER]})
    assert "grokking late, 75 %" in reliance.describe(one, "accuracy")
    only_memorised = tables(reached={"memorised": [90, 110, 100], "generalised": [NEVER] * 3})
    assert reliance.describe(only_memorised, "accuracy").count(";") == 0
    none = tables(reached={"memorised": [NEVER] * 3, "generalised": [NEVER] * 3})
    assert reliance.describe(none, "accuracy") == "No replica memorised or generalised."
    assert [text.get_text() for axes in drawn(none) for text in axes.texts] == ["no replica memorised or generalised"]
    assert (
        reliance.describe({**none, "moments": none["moments"][:0]}, "margin") == "No replica memorised or generalised."
    )
