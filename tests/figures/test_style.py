"""Shared parts of figures: bands are the interval of `estimates`, and names beside lines keep apart."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from general_circuits.analysis import estimates
from general_circuits.figures import style

pytestmark = pytest.mark.filterwarnings("error")

CONDITIONS = ("grokking", "random_labels", "no_delay")
TABLE = pd.DataFrame(
    {0: [1.0, 2.0, np.nan, np.nan], 1: [3.0, 2.5, np.nan, 4.0], 2: [5.0, 9.0, np.nan, np.nan]}, index=[0, 10, 20, 30]
)


def test_a_band_is_the_mean_and_the_interval_over_replicas() -> None:
    with style.theme():
        figure, axes = plt.subplots()
        mean = style.draw_band(axes, TABLE, "black")
        (line,), (band,) = axes.lines, axes.collections
    assert mean.to_dict() == {0: 3.0, 10: 4.5, 30: 4.0}
    assert line.get_xydata().tolist() == [[step, value] for step, value in mean.items()]
    corners = {tuple(np.round(corner, 9)) for path in band.get_paths() for corner in path.vertices}
    for step in (0, 10):
        interval = estimates.estimate(TABLE.loc[step])
        assert {(step, round(interval.low, 9)), (step, round(interval.high, 9))} <= corners
    assert 30 not in {x for x, _ in corners}  # one replica has a mean and no interval
    plt.close(figure)


def test_where_no_replica_has_a_value_there_is_no_band() -> None:
    _, axes = plt.subplots()
    assert style.draw_band(axes, pd.DataFrame({0: [np.nan, np.nan]}, index=[0, 10]), "black").empty
    plt.close()


def named(values: list[float]) -> tuple[Axes, list[float]]:
    """Return axes from 0 to 1 with lines that end at these values, and the heights of their names in points."""
    with style.theme():
        figure, axes = plt.subplots(figsize=(4, 2))
        axes.set_ylim(0, 1)
        figure.canvas.draw()
        style.name_ends(axes, {str(i): (value, "black") for i, value in enumerate(values)})
        plt.close(figure)
    return axes, [text.xyann[1] for text in axes.texts]


@pytest.mark.parametrize(
    "values", [[1.0] * 5, [0.0] * 5, [0.5] * 5, [0.97, 0.98, 0.99, 1.0], [0.1, 0.11, 0.9, 0.91], [0.02, 0.0, 0.01]]
)
def test_names_keep_a_line_apart_in_order_and_within_reach(values: list[float]) -> None:
    axes, places = named(values)
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    assert [float(values[int(text.get_text())]) for text in axes.texts] == sorted(values)
    assert (np.diff(places) >= style.LINE - 1e-9).all()
    assert min(places) >= -1e-9
    assert max(places) <= height + style.LINE / 2 + 1e-9
    # A name is at most as far from its line as all names together are high.
    assert max(abs(place - value * height) for place, value in zip(places, sorted(values), strict=True)) <= (
        style.LINE * len(values)
    )


def test_names_that_do_not_touch_stay_at_their_lines() -> None:
    axes, places = named([0.9, 0.1, np.nan, 0.5])
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    assert [text.get_text() for text in axes.texts] == ["1", "3", "0"]
    assert places == pytest.approx([0.1 * height, 0.5 * height, 0.9 * height])


def test_a_condition_has_one_colour_whatever_conditions_come_after_it() -> None:
    colours = style.condition_colours(CONDITIONS)
    assert len(set(colours.values())) == len(CONDITIONS)
    assert style.condition_colours(CONDITIONS[:2]) == {name: colours[name] for name in CONDITIONS[:2]}


def test_events_are_marked_if_most_replicas_reached_them() -> None:
    events = pd.DataFrame(
        {
            "condition": "grokking",
            "event": ["memorised"] * 3 + ["onset"] * 3 + ["generalised"] * 3,
            "step": [10, 20, 30, 100, 200, 900, 300, 900, 900],
            "censored": [False] * 3 + [False, False, True] + [False, True, True],
        }
    )
    assert style.median_steps(events, "grokking") == {"memorised": 20, "onset": 200}


def test_curves_over_training_have_only_steps_that_all_replicas_of_a_condition_have() -> None:
    """Moments are steps of single replicas, whose values are no mean over replicas."""
    rows = [(replica, step, value) for replica in (0, 1) for step, value in ((0, 1.0), (100, 2.0), (200, 3.0))]
    frame = pd.DataFrame([*rows, (0, 37, 50.0), (1, 142, 60.0)], columns=["replica", "step", "value"])
    frame = frame.assign(condition=pd.Categorical(["grokking"] * len(frame)))
    events = pd.DataFrame({"condition": [], "event": [], "step": [], "censored": np.array([], dtype=bool)})
    with style.theme():
        figure = style.over_training(frame, "value", events, "a value")
        line = figure.axes[0].lines[0].get_xydata().tolist()
        plt.close(figure)
    assert line == [[0, 1], [100, 2], [200, 3]]


def drawn(path: Path) -> bytes:
    """Return the bytes of a figure with lines, words, ticks and a legend, as SVG and PNG."""
    with style.theme():
        figure, axes = plt.subplots(figsize=(3, 2))
        style.draw_band(axes, TABLE, "C1")
        axes.set_title("$t_m$, 1,000 −")
        axes.plot([0, 30], [1e6, 2e6], label="a line")
        axes.legend()
        style.save(figure, {"svg": path / "a.svg", "png": path / "a.png"}, "title", "words")
        plt.close(figure)
    return (path / "a.svg").read_bytes() + (path / "a.png").read_bytes()


def test_no_setting_of_the_user_changes_a_byte_of_a_figure(tmp_path: Path) -> None:
    plain = drawn(tmp_path)
    loud = {
        "axes.facecolor": "red",
        "axes.formatter.use_locale": True,
        "axes.prop_cycle": "cycler(color=['k'])",
        "font.size": 30,
        "lines.linewidth": 12,
        "path.simplify": False,
        "savefig.bbox": "tight",
        "savefig.facecolor": "blue",
        "svg.hashsalt": "another",
        "text.usetex": True,
        "xtick.direction": "in",
    }
    with matplotlib.rc_context(loud):
        assert drawn(tmp_path) == plain
        assert matplotlib.rcParams["font.size"] == 30  # and the user's own settings are back
