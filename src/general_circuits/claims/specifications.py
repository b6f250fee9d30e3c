"""A claim's number under every combination of choices, none left out: what claims share in making it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pandas as pd

from general_circuits.analysis import estimates
from general_circuits.analysis.windows import change_to_late_window
from general_circuits.registered import REGISTERED

CHOICES = (
    *("method", "target", "normalisation", "statistic", "layer", "split", "dead_units", "deletion"),
    "control",
)
"""Of the `specification` table, in its order."""
NONE = "none"
"""Of a choice that a claim does not have, and of the change itself, without a control."""

REGISTERED_SALIENCY = {
    **{name: REGISTERED[name] for name in ("method", "target", "normalisation", "split")},
    "statistic": "mean_magnitude",
    "layer": f"last {REGISTERED['site']}",
}
"""The choices that every claim about saliency is registered with."""


def with_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """With `layer` as a reader has it, site included: each condition's last one by name, others by number."""
    last = frame["layer"] == frame.groupby("condition", observed=True)["layer"].transform("max")
    number = frame["layer"].astype(str).mask(last, "last")
    return frame.assign(layer=number + " " + frame["site"].astype(str))


def changes(frame: pd.DataFrame, value: str, choices: Sequence[str], steps: pd.DataFrame) -> pd.DataFrame:
    """The registered change, from t_m to the late window, of one condition's column `value`: (choices, replica).

    Args:
        frame: rows with `choices`, `replica`, `step` and the value.
        value: missing where a checkpoint has none; it is left out then.
        choices: columns that tell specifications apart.
        steps: events of grokking, as of `windows.steps_of_events`: a control is read at its partner's.
    """
    known = frame.dropna(subset=[value]).astype(dict.fromkeys(choices, str)).sort_values("step")
    found = {
        tuple(key): change_to_late_window(
            pd.Series(rows[value].to_numpy(), rows["step"].to_numpy()), steps.loc[key[-1]]
        )
        for key, rows in known.groupby([*choices, "replica"])
    }
    if not found:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[] for _ in choices], names=list(choices)))
    series = pd.Series(found)
    series.index.names = [*choices, "replica"]
    return series.unstack("replica")


def specifications(
    found: Mapping[str, pd.DataFrame],
    options: Mapping[str, Sequence[str]],
    registered: Mapping[str, str],
    failures: Mapping[str, pd.Series],
    unit: str,
    threshold: float,
) -> pd.DataFrame:
    """The `specification` table of one claim, but for its name: every combination, those without an estimate included.

    Args:
        found: by control, the changes without it (`none`) or beyond it.
        options: of every choice but the control, in the order of `CHOICES`; one that the claim lacks has `none`.
        registered: the combination that the claim is registered with.
        failures: by control, why some combinations, its index, mean nothing though they have numbers.
        unit: of the changes.
        threshold: of the verdict.
    """
    rows = []
    for control, of_control in found.items():
        given = list(of_control.index.names)
        values = dict(zip(of_control.index, of_control.to_numpy(dtype=float), strict=True))
        means_nothing = failures.get(control, {})
        for combination in itertools.product(*options.values()):
            names = dict(zip(options, combination, strict=True))
            key = tuple(names[name] for name in given)
            estimate = estimates.estimate(values.get(key, []))
            failure = means_nothing.get(key, "")
            if not failure and estimate.n < 2:
                failure = _too_few(estimate.n, key in values)
            if failure:
                estimate = estimates.estimate([])
            rows.append(
                {
                    **names,
                    "control": control,
                    "registered": {**names, "control": control} == dict(registered),
                    "unit": unit,
                    "threshold": threshold,
                    "estimate": estimate.mean,
                    "low": estimate.low,
                    "high": estimate.high,
                    "p_value": estimate.p_value,
                    "replicas": estimate.n,
                    "failure": failure,
                }
            )
    return pd.DataFrame(rows)


def _too_few(n: int, is_known: bool) -> str:
    if n == 1:
        return "only one replica has a value"
    if is_known:
        return "in no replica a value was found in both windows"
    return "there are no such data in this study"


def options_of(frame: pd.DataFrame, choices: Sequence[str]) -> dict[str, list[str]]:
    """Every option that occurs, of every choice but the control; `none` of one that a claim does not have."""
    return {
        name: sorted(frame[name].astype(str).unique()) if name in choices else [NONE]
        for name in CHOICES
        if name != "control"
    }


def minus_control(own: pd.DataFrame, control: pd.DataFrame) -> pd.DataFrame:
    """Changes minus the control's, replica by replica; missing where the control has none."""
    return own - control.reindex(index=own.index, columns=own.columns)


def degenerate(frame: pd.DataFrame, choices: Sequence[str], steps: pd.DataFrame) -> pd.Series:
    """Of combinations whose histograms mean nothing in most checkpoints of either window: the words that say so.

    Args:
        frame: one condition's rows with `choices`, `replica`, `step` and `degenerate`, at the steps that are read.
        choices: columns that tell specifications apart.
        steps: events of grokking.
    """
    between = frame["replica"].map((steps["memorised"] + steps["generalised"]) / 2)
    frame = frame.astype(dict.fromkeys(choices, str)).assign(is_late=frame["step"] > between)
    shares = frame.groupby([*choices, "is_late"])["degenerate"].mean().groupby(list(choices)).max()
    words = "degenerate histograms at t_m or in the late window: over half of the neurons at 0, or no spread"
    return pd.Series(words, index=shares.index[shares > 0.5], dtype=object)
