"""A specification curve is sorted, has every choice of every specification under it, and hides no failure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from specification_tables import OPTIONS, specifications

from general_circuits.figures import specification_curve, style
from general_circuits.formatting import signed
from general_circuits.storage import tables
from general_circuits.storage.schemas.specification import TABLE

pytestmark = pytest.mark.filterwarnings("error")

CLAIM = "saliency_skew"


@contextmanager
def drawn(table: pd.DataFrame) -> Iterator[Figure]:
    with style.theme():
        figure = specification_curve.draw({"specification": table}, CLAIM)
        figure.canvas.draw()
        yield figure
        plt.close(figure)


def words(table: pd.DataFrame) -> str:
    return specification_curve.describe({"specification": table}, CLAIM)


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that the figure should show, by rank from 1."""
    rows = table.astype(dict.fromkeys(OPTIONS, str)).sort_values("estimate", ignore_index=True)
    return rows.set_index(np.arange(1, len(rows) + 1))


def lines_of(matrix: Axes) -> dict[tuple[str, str], tuple[int, str]]:
    """Return the place of each line of the matrix and the text at its right, by choice and option.

    Headings, which name a choice, are bold.
    """
    beside = {text.xy[1]: text.get_text() for text in matrix.texts}
    lines, choice = {}, ""
    for place, label in zip(matrix.get_yticks(), matrix.get_yticklabels(), strict=True):
        if label.get_fontweight() == "bold":
            choice = label.get_text()
        lines[choice, "" if label.get_fontweight() == "bold" else label.get_text()] = (int(place), beside[place])
    return lines


def points(axes: Axes) -> list[tuple[float, float]]:
    """Return all estimates drawn, by rank."""
    return sorted(tuple(point) for line in axes.lines if line.get_marker() == "o" for point in line.get_xydata())


def texts_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(("count", "failing"), [(2, 0), (60, 4), (1500, 37)])
def test_estimates_ascend_and_none_is_left_out(count: int, failing: int) -> None:
    table = specifications(count, failing)
    with drawn(table) as figure:
        known = in_order(table)["estimate"].dropna()
        assert points(figure.axes[0]) == list(zip(known.index, known, strict=True))
        assert len(known) == count - failing


def test_an_interval_has_the_colour_of_the_side_of_both_thresholds_on_which_it_lies() -> None:
    """The whole interval counts. One that touches the threshold is on neither side."""
    table = specifications(4).assign(
        estimate=[-0.1, 0.0, 0.06, 0.1], low=[-0.2, -1, 0.05, 0.051], high=[-0.051, 1.0, 0.07, 0.2]
    )
    colours = [style.VERDICT_COLOURS[name] for name in ("contradicted", "undecided", "undecided", "supported")]
    with drawn(table) as figure:
        axes = figure.axes[0]
        dots = {
            x: to_hex(line.get_color())
            for line in axes.lines
            if line.get_marker() == "o"
            for x in np.atleast_1d(line.get_xdata())
        }
        assert [dots[rank] for rank in (1, 2, 3, 4)] == colours
        assert {"interval below −0.05: 1", "neither: 2", "above +0.05: 1"} <= set(texts_of(axes))
    # topk_damage is contradicted below 0.
    with drawn(table.assign(contradicted_beyond=0.0, high=[-0.001, 1.0, 0.07, 0.2])) as figure:
        assert {"interval below 0: 1", "neither: 2", "above +0.05: 1"} <= set(texts_of(figure.axes[0]))


@pytest.mark.parametrize(("count", "failing"), [(60, 4), (1500, 37)])
def test_the_registered_specification_is_marked_on_the_curve_and_its_options(count: int, failing: int) -> None:
    table = specifications(count, failing)
    rows = in_order(table)
    rank = rows.index[rows["registered"]][0]
    with drawn(table) as figure:
        top, matrix = figure.axes
        (diamond,), (diamonds,) = ([line for line in axes.lines if line.get_marker() == "D"] for axes in (top, matrix))
        assert diamond.get_xydata().tolist() == [[rank, rows.loc[rank, "estimate"]]]
        lines = lines_of(matrix)
        places = [
            lines[style.readable(choice), style.readable(OPTIONS[choice][0])][0]
            for choice in OPTIONS
            if choice != "deletion"
        ]
        assert sorted(map(tuple, diamonds.get_xydata())) == sorted((rank, place) for place in places)
        assert f"registered: {signed(rows.loc[rank, 'estimate'], 3)}" in texts_of(top)


def test_a_mark_is_in_the_column_of_every_specification_with_the_option_and_in_no_other() -> None:
    table = specifications(60, 4)
    rows = in_order(table)
    failures = set(rows.index[rows["estimate"].isna()])
    with drawn(table) as figure:
        matrix = figure.axes[1]
        (ticks,) = (part for part in matrix.collections if isinstance(part, LineCollection))
        marks = [(round(segment[0, 0]), round(segment[:, 1].mean())) for segment in ticks.get_segments()]
        lines = lines_of(matrix)
    varying = [choice for choice in OPTIONS if choice != "deletion"]
    assert len(marks) == len(varying) * len(rows)
    for choice in varying:
        for option in rows[choice].unique():
            place, _ = lines[style.readable(choice), style.readable(option)]
            columns = {column for column, line in marks if line == place}
            # Failed specifications have no order, so their columns are not compared.
            assert columns - failures == set(rows.index[rows[choice] == option]) - failures
            assert len(columns) == (rows[choice] == option).sum()


def test_many_specifications_are_shown_as_shares_of_bins_darkest_at_the_largest_share() -> None:
    table = specifications(1500, 37)
    rows = in_order(table)
    with drawn(table) as figure:
        matrix = figure.axes[1]
        (mesh,) = (part for part in matrix.collections if isinstance(part, QuadMesh))
        edges, heights = mesh.get_coordinates()[0, :, 0], mesh.get_coordinates()[:, 0, 1]
        cells = np.ma.filled(np.ma.masked_invalid(mesh.get_array()), np.nan)
        lines = lines_of(matrix)
    assert (edges[0], edges[-1]) == (0.5, 1500.5)
    assert 1463.5 in edges  # no bin has both estimates and failures
    middles = (heights[1:] + heights[:-1]) / 2
    for choice in ("normalisation", "split"):
        of_option = {}
        for option in OPTIONS[choice]:
            place, _ = lines[choice, style.readable(option)]
            of_option[option] = cells[np.abs(middles - place).argmin()]
            inside = pd.cut(rows.index[(rows[choice] == option) & rows["estimate"].notna()], edges, labels=False)
            known = edges[1:] <= 1463.5
            assert (of_option[option][known] > 0).tolist() == np.isin(np.flatnonzero(known), inside).tolist()
        assert max(share.max() for share in of_option.values()) == 1


def test_specifications_without_an_estimate_are_a_stretch_at_the_right_with_their_number() -> None:
    with drawn(specifications(60, 4)) as figure:
        top = figure.axes[0]
        (stretch,) = (patch for patch in top.patches if patch.get_hatch())
        assert (stretch.get_x(), stretch.get_x() + stretch.get_width()) == (56.5, 60.5)
        assert "no estimate: 4 →" in texts_of(top)
    with drawn(specifications(60)) as figure:
        assert not [patch for patch in figure.axes[0].patches if patch.get_hatch()]


def test_an_option_has_the_median_under_it_at_its_right_and_a_choice_their_range() -> None:
    table = specifications(60, 4)
    medians = table.astype({"normalisation": str}).groupby("normalisation")["estimate"].median()
    with drawn(table) as figure:
        lines = lines_of(figure.axes[1])
    for option, median in medians.items():
        assert lines["normalisation", style.readable(option)][1] == f"{median:+.3f}".replace("-", "−")
    assert lines["normalisation", ""][1] == f"range {medians.max() - medians.min():.3f}"
    places = [lines["normalisation", style.readable(name)][0] for name in medians.sort_values(ascending=False).index]
    assert places == sorted(places)
    assert not [choice for choice, _ in lines if choice == "deletion"]  # which does not vary


def test_a_median_is_over_specifications_of_one_unit() -> None:
    table = specifications(200)
    is_other = table["statistic"] == "breadth median"
    scaled = table.assign(
        unit=np.where(is_other, "breadth", table["unit"]), estimate=table["estimate"] * np.where(is_other, 100, 1)
    )
    rest = table[~is_other]
    with drawn(scaled) as figure:
        lines = lines_of(figure.axes[1])
        assert figure.axes[0].get_yscale() == "symlog"
        assert "log beyond" in figure.axes[0].get_ylabel()
    assert lines["statistic", "breadth median"][1] == "other unit"
    raw = rest.loc[rest["normalisation"] == "raw", "estimate"].median()
    assert lines["normalisation", "raw"][1] == f"{raw:+.3f}".replace("-", "−")
    assert "The median of those in this unit is" in words(scaled)


def test_the_description_counts_specifications_and_names_the_choice_that_matters_most() -> None:
    """There are five: one failed, two are equal by construction, and the median of the others is (0.1 + 0.2) / 2."""
    options = {"method": ["a", "a", "b", "b", "b"], "split": ["train", "validation", "train", "validation", "train"]}
    table = specifications(5).astype(dict.fromkeys(OPTIONS, str))
    table = table.assign(
        **{**dict.fromkeys(OPTIONS, "none"), **options},
        registered=[False, True, False, False, False],
        estimate=[0.1, 0.1, 0.3, np.nan, 0.2],
        low=[0.06, 0.06, 0.0, np.nan, 0.1],
        high=[0.14, 0.14, 0.6, np.nan, 0.3],
        failure=["", "", "", "diverged", ""],
    )
    assert words(table) == (
        "saliency_skew: 5 specifications, 1 without an estimate (most often: diverged); different estimates: 3;"
        " the interval lies above +0.05 in 3 of 4 (75 %) and below −0.05 in 0 of 4 (0 %). The median is +0.150"
        " L-skewness; the registered one, +0.100, is number 2 of 4 from the smallest; the choice of method moves it"
        " most, from +0.100 (a) to +0.250 (b)."
    )


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (specifications(5)[:0], "saliency_skew is not testable: this study has no specifications."),
        (
            specifications(5, claim="topk_damage"),
            "saliency_skew is not testable: this study has no specifications.",
        ),
        (
            specifications(30, 30),
            "saliency_skew: 30 specifications, none with an estimate (most often: no replica has a late window).",
        ),
    ],
)
def test_without_any_estimate_the_figure_says_so(table: pd.DataFrame, text: str) -> None:
    assert words(table) == text
    with drawn(table) as figure:
        texts = texts_of(figure.axes[0])
        assert (
            texts == [text] if "not testable" in text else {"no estimate: 30", "registered: no estimate"} <= set(texts)
        )


@pytest.mark.parametrize(
    "table",
    [specifications(1), specifications(2), specifications(60, 4), specifications(1500, 37), specifications(30, 30)],
    ids=["1", "2", "60", "1500", "failed"],
)
def test_the_figure_fits_on_a_page_and_in_a_small_file_of_the_same_bytes(table: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("one", "two"):
        with drawn(table) as figure:
            width, height = figure.get_size_inches()
            box = figure.get_tightbbox()
            style.save(figure, {"svg": tmp_path / f"{name}.svg"}, "Title", words(table))
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.svg").stat().st_size < 2**20
    assert ElementTree.parse(tmp_path / "one.svg").getroot().get("role") == "img"
    assert width <= style.WIDTH
    assert height <= 9
    assert min(box.x0, box.y0) >= -0.02
    assert box.x1 <= width + 0.02
    assert box.y1 <= height + 0.02
    assert not {"nan", "inf", "None"} & set(re.split(r"\W+", words(table)))


def test_a_study_with_one_testable_claim_draws_both(tmp_path: Path) -> None:
    """The stage reads one file for each claim, and one of them has no rows."""
    for claim, count in (("saliency_skew", 0), ("topk_damage", 20)):
        rows = specifications(20, claim=claim)[:count]
        tables.write(tmp_path / TABLE.path.format(claim=claim), TABLE, rows)
    table = tables.read_study(tmp_path, TABLE, {"claim": ["saliency_skew", "topk_damage"]})
    assert "not testable" in words(table)
    assert specification_curve.describe({"specification": table}, "topk_damage").startswith("topk_damage: 20 spec")
    with style.theme():
        for claim in ("saliency_skew", "topk_damage"):
            plt.close(specification_curve.draw({"specification": table}, claim))
