"""Steps left to generalise: dots, triangles, and levels that are only bounds."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from general_circuits.figures import steps_left

LEFT = {
    0.3: pd.DataFrame({"steps": [2500.0] * 3, "censored": [True] * 3}),
    1.0: pd.DataFrame({"steps": [2000.0, 2100.0, 2500.0], "censored": [False, False, True]}),
    3.0: pd.DataFrame({"steps": [600.0, 700.0, np.nan], "censored": [False, False, True]}),
}


def test_a_level_without_times_is_drawn_as_a_bound_that_no_line_crosses() -> None:
    figure, axes = plt.subplots()
    steps_left.draw_levels(axes, LEFT, "black")
    at_bound = [line for line in axes.lines if line.get_xdata()[:1].tolist() == [0.3] and len(line.get_xdata()) == 1]
    assert [(line.get_marker(), line.get_markerfacecolor()) for line in at_bound] == [("^", "none")]
    assert [text.get_text() for text in axes.texts] == ["none by\n2,500"]
    medians = axes.lines[-1]
    assert np.isnan(medians.get_ydata()[0])
    assert medians.get_ydata()[1:].tolist() == [2100, 600]
    plt.close(figure)


def test_levels_are_described_by_their_median_or_by_the_bound() -> None:
    assert steps_left.in_words(LEFT) == {0.3: "none by 2,500", 1.0: "2,100", 3.0: "600"}
