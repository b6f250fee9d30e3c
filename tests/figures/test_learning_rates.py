"""The figure of learning rates: its base, and studies with few branches."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from variant_tables import AT, RATE, study

from general_circuits.figures import learning_rates

SLOW = {"slow": {RATE: 1e-4}, "slow_10": {AT: "onset", "branch.parent": "slow", RATE: 1e-3}}


def drawn(variants: dict[str, dict[str, Any]]) -> tuple[list[str], str]:
    """Return the titles of the panels, and the description."""
    left = {name: lambda replica: 500.0 for name in variants}
    tables = study(variants, {"grokking": lambda replica: 1200.0, **left, "slow": lambda replica: 3000.0})
    figure = learning_rates.draw(tables, "all")
    titles = [axes.get_title() for part in figure.subfigs for axes in part.axes if axes.get_visible()]
    plt.close(figure)
    return [title for title in titles if title], learning_rates.describe(tables, "all")


def test_branches_of_the_slowest_base_are_shown_and_grokking_is_ten_times_as_fast() -> None:
    """The slow base has 2,000 steps left at onset, its branch 500; grokking itself takes 1,200 from the start."""
    titles, words = drawn({**SLOW, "fast": {AT: "memorised", RATE: 1e-2}})
    assert titles == ["×10 at $t_o$", "from $t_o$", "from step 0"]
    assert "where ×1 is 0.0001: from onset 1,998 at ×1, 500 at ×10" in words
    assert "from step 0 3,000 at ×1, 1,200 at ×10" in words


def test_a_study_without_branches_draws_an_empty_figure() -> None:
    titles, words = drawn({})
    assert titles == []
    assert words.endswith("no data.")
