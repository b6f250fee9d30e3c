"""Every figure from small hand-made tables: equal bytes, every condition named, one colour for each."""

from __future__ import annotations

import importlib
import io
import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from general_circuits import distributions
from general_circuits.figures import style
from general_circuits.figures.registry import FIGURES

CONDITIONS = ("grokking", "random_labels", "no_delay")
STEPS = (0, 10, 100, 200, 300)


def tables(events_reached: bool = True, conditions: tuple[str, ...] = CONDITIONS) -> Mapping[str, pd.DataFrame]:
    """What `tables.read_study` would give: two replicas, an upper layer in one condition only."""
    generator = np.random.default_rng(0)
    runs = list(itertools.product(conditions, (0, 1)))
    metrics = pd.DataFrame(
        [
            (condition, replica, step, split, generator.random())
            for (condition, replica), step, split in itertools.product(runs, STEPS, ("train", "validation"))
        ],
        columns=["condition", "replica", "step", "split", "accuracy"],
    )
    events = pd.DataFrame(
        [
            (condition, replica, event, step, not events_reached)
            for (condition, replica), (event, step) in itertools.product(
                runs, (("memorised", 10), ("onset", 100), ("generalised", 200))
            )
        ],
        columns=["condition", "replica", "event", "step", "censored"],
    )
    layers = [(run, layer) for run in runs for layer in range(2 if run[0] == "no_delay" else 1)]
    saliency = pd.DataFrame(
        [
            (
                *run,
                step,
                "train",
                layer,
                "activation_gradient",
                neuron,
                *generator.exponential(size=5),
                neuron > 0,
            )
            for (run, layer), step, neuron in itertools.product(layers, STEPS, range(8))
        ],
        columns=[
            *("condition", "replica", "step", "split", "layer", "method", "neuron", "median", "median_magnitude"),
            *("mean_magnitude", "q95_magnitude", "breadth", "alive"),
        ],
    )
    ablation = pd.DataFrame(
        [
            (*run, step, "train", layer, "zero", ranking, 0, k, 1 - k / 8)
            for (run, layer), step, ranking, k in itertools.product(
                layers, STEPS, ("top", "bottom", "random", "matched"), (0, 1, 2, 8)
            )
            if k or ranking != "matched"
        ],
        columns=["condition", "replica", "step", "split", "layer", "deletion", "ranking", "draw", "k", "accuracy"],
    ).assign(margin=1.0)
    frames = {
        "metrics": metrics,
        "events": events,
        "saliency": saliency,
        "distribution": distributions.describe(saliency),
        "ablation": ablation,
    }
    return {
        name: frame.assign(condition=pd.Categorical(frame["condition"], categories=list(conditions)))
        for name, frame in frames.items()
    }


def drawn(name: str, frames: Mapping[str, pd.DataFrame]) -> bytes:
    """The figure as SVG."""
    file = io.BytesIO()
    with style.theme():
        figure = importlib.import_module(f"general_circuits.figures.{name}").draw(frames)
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("error")
def test_a_figure_drawn_twice_is_the_same_bytes_and_warns_of_nothing(name: str) -> None:
    assert drawn(name, tables()) == drawn(name, tables())


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.filterwarnings("error")
def test_a_figure_can_do_without_events_and_controls(name: str) -> None:
    assert drawn(name, tables(events_reached=False, conditions=("mine",)))


def test_a_condition_has_a_colour_of_its_own_whatever_the_figure() -> None:
    colours = style.condition_colours(CONDITIONS)
    assert len(set(colours.values())) == len(CONDITIONS)
    assert style.condition_colours(CONDITIONS[:2]) == {name: colours[name] for name in CONDITIONS[:2]}


def test_events_are_marked_where_half_of_the_replicas_reached_them() -> None:
    events = pd.DataFrame(
        {
            "condition": "grokking",
            "event": ["memorised"] * 3 + ["onset"] * 3 + ["generalised"] * 3,
            "step": [10, 20, 30, 100, 200, 900, 300, 900, 900],
            "censored": [False] * 3 + [False, False, True] + [False, True, True],
        }
    )
    assert style.median_steps(events, "grokking") == {"memorised": 20, "onset": 200}
