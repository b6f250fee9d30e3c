"""Specification curves: a claim's number under every combination of choices; the code that claims share."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pandas as pd

from general_circuits.analysis import estimates
from general_circuits.analysis.decisions import Rule
from general_circuits.analysis.windows import change_to_late_window
from general_circuits.registered import REGISTERED

CHOICES = (
    *("method", "target", "normalisation", "statistic", "layer", "split", "dead_units", "deletion"),
    "control",
)
"""Choices of the table `specification`, in the order of its columns."""
NONE = "none"
"""Option of a choice that a claim does not have; as a control, the change itself with nothing subtracted."""

REGISTERED_SALIENCY = {
    **{name: REGISTERED[name] for name in ("method", "target", "normalisation", "split")},
    "statistic": "mean_magnitude",
    "layer": f"last {REGISTERED['site']}",
}
"""Registered options that all claims about saliency share."""


def with_layers(frame: pd.DataFrame) -> pd.DataFrame:
    """Rename layers for a reader: "last mlp" for the last layer of each condition, else number and site, "0 mlp"."""
    last = frame["layer"] == frame.groupby("condition", observed=True)["layer"].transform("max")
    number = frame["layer"].astype(str).mask(last, "last")
    return frame.assign(layer=number + " " + frame["site"].astype(str))


def changes(frame: pd.DataFrame, value: str, choices: Sequence[str], steps: pd.DataFrame) -> pd.DataFrame:
    """Return the change from the baseline to the late window of one condition's column `value`, (choices, replica).

    Args:
        frame: rows with `choices`, `replica`, `step` and the value.
        value: a column; checkpoints without a value are left out.
        choices: columns that tell specifications apart.
        steps: the condition's moments, from `moments.steps_of`.
    """
    known = frame.dropna(subset=[value]).astype(dict.fromkeys(choices, str)).sort_values("step")
    steps = steps.reindex(known["replica"].unique())  # a replica without any moment has no row
    by_key = {
        tuple(key): change_to_late_window(
            pd.Series(rows[value].to_numpy(), rows["step"].to_numpy()), steps.loc[key[-1]]
        )
        for key, rows in known.groupby([*choices, "replica"])
    }
    if not by_key:  # keep the index levels, which `unstack` of an empty series would lose
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[] for _ in choices], names=list(choices)))
    series = pd.Series(by_key)
    series.index.names = [*choices, "replica"]
    return series.unstack("replica")


def specifications(
    changed: Mapping[str, pd.DataFrame],
    options: Mapping[str, Sequence[str]],
    registered: Mapping[str, str],
    failures: Mapping[str, pd.Series],
    unit: str,
    rule: Rule,
) -> pd.DataFrame:
    """Return the `specification` table of one claim without the claim's name: every combination of options.

    Combinations without an estimate have a row, too, which says why.

    Args:
        changed: changes by control, (choices, replica): without it (`none`), or with the control's subtracted.
        options: options of every choice but the control, in the order of `CHOICES`; `none` where the claim lacks one.
        registered: the combination that the claim is registered with.
        failures: by control, words on why a combination (the index) means nothing although it has numbers.
        unit: the unit of the changes.
        rule: thresholds of the claim.
    """
    rows = []
    for control, of_control in changed.items():
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
                    "supported_beyond": rule.supported,
                    "contradicted_beyond": rule.contradicted,
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
        return "no replica has a value in both windows"
    return "this study has no such data"


def options_of(frame: pd.DataFrame, choices: Sequence[str]) -> dict[str, list[str]]:
    """Return all options that occur, for every choice but the control; `none` for a choice that a claim lacks."""
    return {
        name: sorted(frame[name].astype(str).unique()) if name in choices else [NONE]
        for name in CHOICES
        if name != "control"
    }


def minus_control(changed: pd.DataFrame, control: pd.DataFrame) -> pd.DataFrame:
    """Subtract the control's changes, replica by replica; NaN where the control has none."""
    return changed - control.reindex(index=changed.index, columns=changed.columns)


def degenerate(frame: pd.DataFrame, choices: Sequence[str], steps: pd.DataFrame) -> pd.Series:
    """Return words for the combinations whose histograms are degenerate at most checkpoints of a window.

    Args:
        frame: one condition's rows with `choices`, `replica`, `step` and `degenerate`, at the steps that are read.
        choices: columns that tell specifications apart.
        steps: the condition's moments.

    Returns:
        Texts; the index is the combination.
    """
    # Only the baseline and the late window are read, so any step between them parts the two.
    between = frame["replica"].map((steps["baseline"] + steps["generalised"]) / 2)
    frame = frame.astype(dict.fromkeys(choices, str)).assign(is_late=frame["step"] > between)
    shares = frame.groupby([*choices, "is_late"])["degenerate"].mean().groupby(list(choices)).max()
    words = "degenerate histograms at the baseline or in the late window: over half of the neurons at 0, or no spread"
    return pd.Series(words, index=shares.index[shares > 0.5], dtype=object)
