"""The forest of verdicts: thresholds at their places, colours of verdicts, and panels that fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from verdict_tables import CONTRADICTED_BEYOND, MARKUP, SUPPORTED_BEYOND, claim, in_parts, two_claims, untestable

from general_circuits.claims import findings
from general_circuits.figures import forest, style

pytestmark = pytest.mark.filterwarnings("error")

MARKS = " Blue and orange marks in a row are its thresholds of support and of contradiction."
NAMES = ["registered", f"beside {MARKUP}"]


@contextmanager
def drawn(parts: Sequence[pd.DataFrame]) -> Iterator[Figure]:
    """Draw the forest of `claim` tables."""
    with style.theme():
        figure = forest.draw({"claim": pd.concat(parts, ignore_index=True)}, "all")
        figure.canvas.draw()
        yield figure
        plt.close(figure)


def described(parts: Sequence[pd.DataFrame]) -> str:
    return forest.describe({"claim": pd.concat(parts, ignore_index=True)}, "all")


def labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def marks(axes: Axes, verdict: str) -> list[tuple[float, int]]:
    """Return the place (x, row) of each threshold that has the colour of a verdict."""
    lines = [line for line in axes.lines if line.get_linewidth() == 1.0]
    lines = [line for line in lines if to_hex(line.get_color()) == style.VERDICT_COLOURS[verdict]]
    ends = [line.get_xydata() for line in lines if np.isfinite(line.get_xydata()).all()]
    assert all(start[0] == end[0] for start, end in ends), "thresholds are upright"
    return [(float(start[0]), round((start[1] + end[1]) / 2)) for start, end in ends]


def colours(axes: Axes) -> list[str]:
    """Return the colour of the diamond of each primary contrast that has an estimate."""
    diamonds = [line for line in axes.lines if line.get_marker() == "D" and np.isfinite(line.get_ydata()).all()]
    return [to_hex(line.get_color()) for line in diamonds if np.isfinite(line.get_xdata()).all()]


def test_verdicts_are_counted_by_kind() -> None:
    """Contrasts beside have no verdict, and parts that the study lacks runs for are left out."""
    assert described(two_claims()) == f"Verdicts of measured claims: 1 supported, 1 contradicted.{MARKS}"
    assert described([*two_claims(), in_parts(), untestable("spikes")]) == (
        f"Verdicts of measured claims: 1 supported, 1 contradicted, 1 between, 1 undecided, 1 not testable.{MARKS}"
    )
    assert described([untestable("spikes")]) == f"Verdicts of measured claims: none.{MARKS}"


def test_the_kinds_are_the_verdicts_with_data() -> None:
    """Figures import no claims, so the forest spells their words."""
    assert findings.VERDICTS[:5] == forest.KINDS
    assert forest.NOT_TESTABLE == findings.NOT_TESTABLE


def test_only_contrasts_in_the_unit_of_the_verdict_are_shown() -> None:
    with drawn(two_claims()) as figure:
        assert [labels(axes) for axes in figure.axes] == [NAMES, NAMES]


def test_both_thresholds_of_each_primary_row_are_marked_at_their_places() -> None:
    with drawn([*two_claims(), in_parts()]) as figure:
        skew, damage, takeover = figure.axes
        for axes in (skew, damage):
            assert marks(axes, "supported") == [(SUPPORTED_BEYOND, 0)]
            assert marks(axes, "contradicted") == [(CONTRADICTED_BEYOND, 0)]
        # The third part is not testable, and the last row stands beside: neither has thresholds.
        assert marks(takeover, "supported") == [(SUPPORTED_BEYOND, 0), (SUPPORTED_BEYOND, 1)]
        assert marks(takeover, "contradicted") == [(CONTRADICTED_BEYOND, 0), (CONTRADICTED_BEYOND, 1)]


def test_two_equal_thresholds_are_both_seen() -> None:
    equal = claim("forgetting", "supported", 0.25, 0.001).assign(supported_beyond=[0.0, np.nan, np.nan])
    with drawn([equal.assign(contradicted_beyond=equal["supported_beyond"])]) as figure:
        lines = [line for line in figure.axes[0].lines if line.get_linewidth() == 1.0]
        spans = {to_hex(line.get_color()): sorted(line.get_xydata()[:, 1]) for line in lines[:2]}
    assert spans[style.VERDICT_COLOURS["supported"]] == [-0.4, 0.0]
    assert spans[style.VERDICT_COLOURS["contradicted"]] == [0.0, 0.4]


def test_a_primary_contrast_has_the_colour_of_its_verdict() -> None:
    with drawn([*two_claims(), in_parts()]) as figure:
        found = [colours(axes) for axes in figure.axes]
    kinds = [["supported"], ["contradicted"], ["between", "undecided"]]
    assert found == [[style.VERDICT_COLOURS[kind] for kind in panel] for panel in kinds]


def test_a_part_that_is_not_testable_stands_in_its_claims_panel_as_words() -> None:
    with drawn([in_parts()]) as figure:
        (axes,) = figure.axes
        assert labels(axes) == ["sgd", "adamw", "momentum", NAMES[1]]
        assert axes.get_title(loc="left") == "takeover: between, undecided, not testable"
        texts = {
            round(text.xy[1]): text.get_text() for text in axes.texts if text.xycoords == ("axes fraction", "data")
        }
        assert texts[2] == "not testable"
        assert texts[0] == "−0.20 (−0.30 to −0.10)"


def test_a_claim_that_is_only_not_testable_has_a_panel_without_numbers() -> None:
    parts = in_parts("gradual")
    with drawn([parts[parts["contrast"] == "registered, momentum"]]) as figure:
        (axes,) = figure.axes
        assert (labels(axes), axes.get_title(loc="left")) == (["momentum"], "gradual: not testable")
        assert not axes.xaxis.get_visible()
        assert "not testable" in [text.get_text() for text in axes.texts]


def test_what_the_study_lacks_runs_for_is_not_drawn() -> None:
    with drawn([two_claims()[0], untestable("topk_damage")]) as figure:
        assert [axes.get_title(loc="left") for axes in figure.axes] == ["saliency_skew: supported"]


def test_many_panels_are_in_two_columns_that_fit() -> None:
    """Panels go down the first column and then down the second, in the order of claims."""
    both = two_claims()
    many = [part.assign(claim=f"claim_{i}_{j}") for i in range(7) for j, part in enumerate(both)]
    with drawn(many) as figure:
        titles = [axes.get_title(loc="left").split(":")[0] for axes in figure.axes]
        left = [axes.get_window_extent().x0 / figure.dpi for axes in figure.axes]
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert titles == [f"claim_{i}_{j}" for i in range(7) for j in range(2)]
    assert len({round(x, 2) for x in left[:7]}) == len({round(x, 2) for x in left[7:]}) == 1
    assert left[7] > left[0] + 0.4 * width
    assert height <= 9
    assert box.x1 <= width * 1.01


def test_long_names_and_titles_in_two_columns_stay_in_their_column() -> None:
    long = in_parts().replace({"contrast": {"registered, momentum": "registered, momentum without decay"}})
    with drawn([long.assign(claim=f"no_regularisation_{i}") for i in range(11)]) as figure:
        box, width = figure.get_tightbbox(), figure.get_size_inches()[0]
        titles = [axes._left_title.get_window_extent() for axes in figure.axes]  # type: ignore[attr-defined]
    assert box.x0 >= 0
    assert box.x1 <= width
    middle = width * figure.dpi / 2
    assert all(title.x0 >= 0 and title.x1 <= middle for title in titles[:6])
    assert all(middle <= title.x0 and title.x1 <= 2 * middle for title in titles[6:])
