"""Settings of conditions in a study, as typed models: complete ones, and branches, which continue another condition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from general_circuits.config.condition import (
    LINE_SEARCHING,
    ConditionSettings,
    Count,
    ModelSettings,
    Name,
    Number,
    Settings,
)
from general_circuits.training.events import EVENTS
from general_circuits.training.settings import STEP, Branch, Condition, Intervention

TIMES = re.compile(r"[x×] ?(\d+(?:\.\d*)?(?:e[+-]?\d+)?)")
"""So many times the parent's value: x10."""

Measurement = Literal["saliency", "ablation", "progress", "updates", "answers", "spikes"]
ALL: tuple[Measurement, ...] = get_args(Measurement)
BY_REPLAY: tuple[Measurement, ...] = ("spikes",)
"""Those that train a condition once more, which a branch is not."""


class ChangeSettings(Settings):
    """Any key of task, split, optimiser or schedule, numbers also as `x10` (times the parent's); and interventions."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)

    kick: Number | Name = Field(
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
        1.0, gt=0, description="the loss divides logits by this number; below 1 the same logits are more confident"
    )
    ignore_above: Number | None = Field(
        None, gt=0, le=1, description="the loss leaves out examples whose label has this probability or more"
    )
    noise_instead: Number | None = Field(
        None,
        ge=0,
        description="Gaussian noise takes the place of the gradient. In each tensor, its mean size is this"
        " number times the mean size of the weights. With sgd, a weight decay of this number takes"
        " as much. 0 is no gradient at all",
    )
    batch_noise: Count | None = Field(
        None,
        description="adds Gaussian noise to the gradient. In each tensor, the noise is as large as the"
        " difference between the gradient of this many examples and the gradient of the batch",
    )

    @property
    def settings(self) -> dict[str, Any]:
        """What is no intervention."""
        return dict(self.model_extra or {})

    def resolve(self) -> Intervention:
        """The frozen record that stages work on."""
        return Intervention(**{name: getattr(self, name) for name in Intervention.__dataclass_fields__})


def _place(at: str) -> str:
    if at not in EVENTS and not STEP.fullmatch(at):
        raise PydanticCustomError("place", f"should be {', '.join(EVENTS)}, or a step as in 'step 1000'")
    return at


class BranchSettings(Settings):
    """Another condition of the study, continued from one of its steps with something changed."""

    parent: Name = Field(alias="from", description="the condition that the branch continues, which is no branch itself")
    at: Annotated[str, AfterValidator(_place)] = Field(
        description=f"where the branch leaves it: {', '.join(EVENTS)}, each replica at its own step; or a fixed step,"
        " such as `step 1000`",
    )
    change: ChangeSettings = Field(ChangeSettings(), description="what is different from there on")
    lasts: Count | None = Field(
        None, alias="for", description="number of steps that the change lasts; without this key it lasts to the end"
    )
    then: Literal["back", "anneal", "stop"] = Field(
        "back",
        description="what follows after `for`. `back`: the settings of `from` return at once. `anneal`:"
        " learning rate and weight decay return linearly, over as many steps again. `stop`: training"
        " stops",
    )


class StudyCondition(ConditionSettings):
    """A condition as a study has it."""

    branch: BranchSettings | None = Field(
        None,
        description="another condition to continue; a branch has that condition's settings and no others beside it",
    )
    measurements: Literal["all"] | list[Measurement] | None = Field(
        None,
        description="which of the study's measurements are made of this condition: `all`, or a list of"
        " saliency, ablation, progress, updates, answers and spikes. Ablation needs saliency. By"
        " default a condition has all of them and a branch has none. Metrics and events are always"
        " recorded",
    )

    @property
    def measured(self) -> tuple[Measurement, ...]:
        """Which measurements are made of it."""
        if self.measurements is None:
            return () if self.branch else ALL
        if self.measurements == "all":
            return tuple(name for name in ALL if name not in BY_REPLAY) if self.branch else ALL
        return tuple(self.measurements)

    def branch_from(self, parent: Condition) -> Branch:
        """The frozen record that stages work on."""
        assert self.branch is not None
        return Branch(parent, self.branch.at, self.branch.lasts, self.branch.then, self.branch.change.resolve())


def branch_in(settings: Any) -> Mapping[str, Any] | None:
    """The branch that a condition's raw settings have, if any."""
    branch = settings.get("branch") if isinstance(settings, Mapping) else None
    return branch if isinstance(branch, Mapping) else None


def change_in(settings: Any) -> Mapping[str, Any]:
    """The settings that such a branch changes, interventions aside."""
    change = (branch_in(settings) or {}).get("change") or {}
    if not isinstance(change, Mapping):
        return {}
    return {key: value for key, value in change.items() if key not in ChangeSettings.model_fields}


def multiplied(change: Mapping[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    """A change with every `x10` worked out from the parent's raw settings."""
    found = dict(change)
    for key, value in change.items():
        times = TIMES.fullmatch(value) if isinstance(value, str) else None
        field = ConditionSettings.model_fields.get(key)
        base = parent.get(key, field.default if field else None)
        if isinstance(base, str):  # YAML reads 1e-3 as text
            base = float(base) if re.fullmatch(r"[\d.]+e[+-]?\d+", base) else base
        if times and isinstance(base, (int, float)) and not isinstance(base, bool):
            product = base * float(times[1])
            found[key] = round(product) if isinstance(base, int) and product == round(product) else product
    return found


def against_branches(
    conditions: Mapping[str, StudyCondition],
) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Branches that cannot be: where, what, and what would be right."""
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
        if replayed := [asked for asked in settings.measured if asked in BY_REPLAY]:
            right = f"should be without {' and '.join(replayed)}: {replay_refusal(branch.parent)}"
            yield ("conditions", name, "measurements"), settings.measurements, right
        here = ("conditions", name, "branch")
        parent = conditions.get(branch.parent)
        if parent is None or parent.branch:
            whole = ", ".join(other for other, found in conditions.items() if not found.branch)
            yield (*here, "from"), branch.parent, f"should be a condition that is no branch: {whole}"
            continue
        for key, value, right in _against(branch, settings, parent):
            yield (*here, *key), value, right
        kick = branch.change.kick
        if isinstance(kick, str):
            other = conditions.get(kick)
            found = other.branch if other else None
            if (
                found is None
                or (found.parent, found.at) != (branch.parent, branch.at)
                or isinstance(found.change.kick, str)
            ):
                yield (
                    (*here, "change", "kick"),
                    kick,
                    f"should be a number, or another branch from {branch.parent} at {branch.at} with no such kick",
                )


def _against(
    branch: BranchSettings, settings: StudyCondition, parent: StudyCondition
) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    changed, change = branch.change.settings, branch.change
    for key in changed.keys() & ModelSettings.model_fields.keys():
        yield ("change", key), changed[key], "cannot be changed: a branch continues its parent's network"
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
    given = [key for key in ("noise_instead", "batch_noise") if getattr(change, key) is not None]
    if len(given) > 1:
        yield ("change",), given, "should be one of them"
    if settings.optimiser in LINE_SEARCHING:
        for key in [*given, *(["mask"] if change.mask else [])]:
            value = getattr(change, key)
            yield ("change", key), value, f"cannot be: {settings.optimiser} needs the gradient of what it makes small"


def replay_refusal(parent: str) -> str:
    """Why a branch is not replayed."""
    return f"is a branch, which is not replayed; replay {parent}, or change metrics and checkpoints in the branch"


def as_json(branch: Branch, parent: str) -> dict[str, Any]:
    """A branch as what results depend on, its parent by name."""
    return asdict(branch) | {"parent": parent}
