"""Typed models of the conditions in a study, and of branches: conditions that continue another one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from general_circuits.config.condition import (
    LINE_SEARCHING,
    ConditionSettings,
    ModelSettings,
)
from general_circuits.config.errors import nearest, some
from general_circuits.config.kinds import (
    Count,
    Examples,
    Name,
    Number,
    Probability,
    Settings,
    Strength,
    Text,
    each_once,
    number,
)
from general_circuits.training.events import EVENTS
from general_circuits.training.settings import STEP, Branch, Condition, Intervention

TIMES = re.compile(r"[x×] ?([0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?)")
"""Pattern of a factor on the parent's value, such as x10."""

Measurement = Literal["saliency", "ablation", "progress", "updates", "answers", "spikes"]
Measured = Annotated[list[Measurement], Field(max_length=6), AfterValidator(each_once)]
ALL: tuple[Measurement, ...] = get_args(Measurement)
"""Names of all measurements that a condition can have."""
BY_REPLAY: tuple[Measurement, ...] = ("spikes",)
"""Measurements that train a condition again. A branch cannot have them, because branches are not replayed."""


class ChangeSettings(Settings):
    """Changes that a branch makes: any key of task, split, optimiser or schedule, and the interventions below.

    A number can also be a factor on the parent's value: `x10`.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    kick: Strength | Name = Field(
        0.0,
        union_mode="left_to_right",
        description="one kick at the start, which moves every weight tensor in a random direction. A number is"
        " the distance as a share of the tensor's norm. The name of another branch from the same"
        " place sets the distance by accuracy: training accuracy falls as low as it did in that"
        " branch",
    )
    mask: Number = Field(
        0.0, ge=0, lt=1, description="share of each matrix's numbers that are held at 0: the smallest ones at the start"
    )
    temperature: Number = Field(
        1.0,
        ge=1e-6,
        le=1e6,
        description="the loss divides logits by this number; below 1 the same logits are more confident",
    )
    ignore_above: Probability | None = Field(
        None, description="the loss leaves out examples whose label has this probability or more"
    )
    noise_instead: Strength | None = Field(
        None,
        description="noise takes the place of the gradient. With sgd, and after the steps of `for`, it has moved the"
        " weights exactly as far as a decoupled weight decay of this number would. Gaussian noise moves each tensor"
        " that far, minibatches' noise all weights together. 0 means no gradient at all",
    )
    noise_examples: Examples | None = Field(
        None,
        description="makes the noise of `noise_instead` that of minibatches of this many examples: the gradient of a"
        " random minibatch less the mean gradient of an epoch of them. Without this key, the noise is Gaussian",
    )
    batch_noise: Examples | None = Field(
        None,
        description="adds Gaussian noise to the gradient. In each tensor, the noise is as large as the"
        " difference between the gradient of this many examples and the gradient of the batch",
    )

    @property
    def settings(self) -> dict[str, Any]:
        """Changed settings, without the interventions."""
        return dict(self.model_extra or {})

    def resolve(self) -> Intervention:
        """Return the frozen record that stages read."""
        return Intervention(**{name: getattr(self, name) for name in Intervention.__dataclass_fields__})


def _place(at: str) -> str:
    """Return `at` if it names an event or a step; otherwise refuse it."""
    if at not in EVENTS and not STEP.fullmatch(at):
        raise PydanticCustomError("place", f"should be {', '.join(EVENTS)}, or a step as in 'step 1000'")
    return at


class BranchSettings(Settings):
    """A continuation of another condition of the study, from one of its steps, with something changed."""

    parent: Name = Field(
        alias="from", description="the condition that the branch continues; it cannot be a branch itself"
    )
    at: Annotated[Text, AfterValidator(_place)] = Field(
        description=f"where the branch begins: at an event ({', '.join(EVENTS)}), each replica at its own step; or at a"
        " fixed step, such as `step 1000`",
    )
    change: ChangeSettings = Field(ChangeSettings(), description="settings that differ from there on")
    lasts: Count | None = Field(
        None, alias="for", description="number of steps that the change lasts; without this key it lasts to the end"
    )
    then: Literal["back", "anneal", "stop"] = Field(
        "back",
        description="what follows after `for`. With `back`, the settings of `from` return at once. With `anneal`,"
        " learning rate and weight decay return linearly, over as many steps again. With `stop`,"
        " training stops",
    )


class StudyCondition(ConditionSettings):
    """A condition of a study."""

    branch: BranchSettings | None = Field(
        None,
        description="continues another condition. A branch inherits that condition's settings; changes stand under"
        " `change`",
    )
    measurements: Literal["all"] | Measured | None = Field(
        None,
        description="measurements that this condition has: `all`, or a list of saliency, ablation, progress,"
        " updates, answers and spikes. Ablation needs saliency. By default, a condition has all of"
        " them and a branch has none. Metrics and events are always recorded",
    )

    @property
    def measured(self) -> tuple[Measurement, ...]:
        """Measurements of the condition."""
        if self.measurements is None:
            return () if self.branch else ALL
        if self.measurements == "all":
            return tuple(name for name in ALL if name not in BY_REPLAY) if self.branch else ALL
        return tuple(self.measurements)

    def branch_from(self, parent: Condition) -> Branch:
        """Return the branch as the frozen record that stages read."""
        assert self.branch is not None
        return Branch(parent, self.branch.at, self.branch.lasts, self.branch.then, self.branch.change.resolve())


def branch_in(settings: Any) -> Mapping[str, Any] | None:
    """Return the `branch` in a condition's raw settings; `None` if there is none."""
    branch = settings.get("branch") if isinstance(settings, Mapping) else None
    return branch if isinstance(branch, Mapping) else None


def change_in(settings: Any) -> Mapping[str, Any]:
    """Return the settings that the `branch` in a condition's raw settings changes, without interventions."""
    change = (branch_in(settings) or {}).get("change") or {}
    if not isinstance(change, Mapping):
        return {}
    return {key: value for key, value in change.items() if key not in ChangeSettings.model_fields}


def unchangeable(key: str) -> str:
    """Say why a key that is no setting cannot stand in a branch's `change`, and where it belongs."""
    if key == "branch":
        return "should be a condition of its own, since a branch changes settings alone"
    if key == "measurements":
        return "should be beside branch, since a branch changes settings alone"
    if key in {field.alias or name for name, field in BranchSettings.model_fields.items()}:
        return "should be beside change"
    possible = ConditionSettings.model_fields.keys() - ModelSettings.model_fields.keys() - {"until"}
    return f"unknown key{nearest(key, (*sorted(possible), *ChangeSettings.model_fields))}"


def multiplied(change: Mapping[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    """Return `change` with every factor, such as `x10`, worked out from the parent's raw settings.

    A factor on something that is no number, or of too large a product, stays as it is. The models refuse it there.
    """
    values = dict(change)
    for key, value in change.items():
        times = TIMES.fullmatch(value) if isinstance(value, str) else None
        field = ConditionSettings.model_fields.get(key)
        base = parent.get(key, field.default if field else None)
        base = number(base)
        if times and isinstance(base, (int, float)) and not isinstance(base, bool):
            product = base * float(times[1])
            if not math.isfinite(product):
                continue
            # Strict models refuse 32.0 where they want a whole number.
            values[key] = round(product) if isinstance(base, int) and product == round(product) else product
    return values


def against_branches(
    conditions: Mapping[str, StudyCondition],
) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Yield every fault of a branch: the place of a value, the value, and what would be right."""
    possible = some(name for name, settings in conditions.items() if not settings.branch)
    right = "should be a condition that is no branch"
    allowed = f"{right}: {possible}" if possible else f"{right}, and the study has none"
    for name, settings in conditions.items():
        if settings.measurements and "ablation" in settings.measured and "saliency" not in settings.measured:
            yield (
                ("conditions", name, "measurements"),
                settings.measurements,
                "should have saliency, which ablation needs",
            )
        branch = settings.branch
        if branch is None:
            continue
        if replayed := [measurement for measurement in settings.measured if measurement in BY_REPLAY]:
            right = f"should be without {' and '.join(replayed)}: {replay_refusal(branch.parent)}"
            yield ("conditions", name, "measurements"), settings.measurements, right
        here = ("conditions", name, "branch")
        parent = conditions.get(branch.parent)
        if parent is None or parent.branch:
            yield (*here, "from"), branch.parent, allowed
            continue
        for key, value, right in _against(branch, settings, parent):
            yield (*here, *key), value, right
        kick = branch.change.kick
        if isinstance(kick, str):
            named = conditions.get(kick)
            other = named.branch if named else None
            if (
                other is None
                or (other.parent, other.at) != (branch.parent, branch.at)
                or isinstance(other.change.kick, str)
            ):
                yield (
                    (*here, "change", "kick"),
                    kick,
                    f"should be a number, or another branch from {branch.parent} at {branch.at} whose own kick is not a"
                    " name",
                )


def _against(
    branch: BranchSettings, settings: StudyCondition, parent: StudyCondition
) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Yield faults of one branch whose parent exists; places begin at the key `branch`."""
    changed, change = branch.change.settings, branch.change
    for key in changed.keys() & ModelSettings.model_fields.keys():
        yield ("change", key), changed[key], "cannot be changed: a branch continues its parent's network"
    if "until" in changed:
        yield ("change", "until"), changed["until"], "should not be set for a branch: its `for` says how long it lasts"
    if named := STEP.fullmatch(branch.at):
        last = min(parent.steps, settings.steps)
        if int(named[1]) > last:
            yield ("at",), branch.at, f"should be a step from 0 to {last}"
    if branch.then != "back" and branch.lasts is None:
        yield ("then",), branch.then, "needs `for`, the steps that the change lasts"
    if branch.then == "anneal":
        if not changed.keys() & {"learning_rate", "weight_decay"}:
            yield ("then",), "anneal", "should be back: neither learning_rate nor weight_decay is changed"
        if parent.optimiser in LINE_SEARCHING:
            yield ("then",), "anneal", f"should be back: {parent.optimiser} finds its own step size"
    if change.noise_instead and branch.lasts is None:
        yield ("change", "noise_instead"), change.noise_instead, "needs `for`, the steps in which noise goes that far"
    if change.noise_examples is not None and not change.noise_instead:
        yield ("change", "noise_examples"), change.noise_examples, "needs noise_instead above 0"
    given = [key for key in ("noise_instead", "batch_noise") if getattr(change, key) is not None]
    if len(given) > 1:
        yield ("change",), given, "should be one of them"
    if settings.optimiser in LINE_SEARCHING:
        for key in [*given, *(["mask"] if change.mask else [])]:
            value = getattr(change, key)
            right = f"does not work with {settings.optimiser}, which needs the exact gradient of the loss"
            yield ("change", key), value, right


def replay_refusal(parent: str) -> str:
    """Return the words that refuse to replay a branch of `parent`."""
    instead = f"replay {parent}, or change metrics and checkpoints in the branch"
    return f"is a branch, and branches cannot be replayed; {instead}"


def as_json(branch: Branch, parent: str) -> dict[str, Any]:
    """Return the settings of a branch that results depend on, with its parent by name."""
    return asdict(branch) | {"parent": parent}
