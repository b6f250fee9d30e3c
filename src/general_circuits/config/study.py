"""Typed models of a whole study. The models of this room are the only place that knows defaults.

`config/README.md` and `workflow/schemas/study.schema.json` are generated from these models.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from general_circuits import records
from general_circuits.config.branch import StudyCondition, as_json
from general_circuits.config.condition import ConditionSettings
from general_circuits.config.duels import DuelSettings
from general_circuits.config.kinds import LARGEST_SEED, Name, Settings
from general_circuits.config.measurements import MeasurementSettings
from general_circuits.training.settings import Branch


class KeepSettings(Settings):
    """Files that stay on disk after a study has run. A change here reruns nothing."""

    weights: bool = Field(
        True,
        description="whether checkpoints stay; otherwise each is removed as soon as all measurements have read it",
    )
    states: int = Field(
        8,
        ge=0,
        le=10_000,
        description="number of training states that are kept per replica, at evenly spaced steps. Replays start from"
        " them; with 0, replays start from the seed",
    )


class Study(Settings):
    """Study that a config describes: conditions, replicas, measurements."""

    study: Name = Field(description="name of the study; its results lie under results/{study}/")
    replicas: int = Field(3, ge=1, le=100, description="seeds per condition")
    block: int = Field(1, ge=1, le=100, description="replicas that one job trains; must divide `replicas`")
    first_seed: int = Field(
        0,
        ge=0,
        le=LARGEST_SEED,
        description="seed of the first replica; the next replicas have the next seeds. Seeds from 1000 on are for"
        " tuning",
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="device that trains and measures networks")
    defaults: ConditionSettings = Field(ConditionSettings(), description="settings that all conditions share")
    conditions: dict[Name, StudyCondition] = Field(
        min_length=1,
        max_length=20_000,
        description="conditions by name. Each has the settings that differ from `defaults`, or a `branch`",
    )
    measurements: MeasurementSettings = MeasurementSettings()
    duels: DuelSettings = DuelSettings()
    keep: KeepSettings = KeepSettings()

    @property
    def blocks(self) -> int:
        """Number of blocks per condition."""
        return self.replicas // self.block

    @property
    def branches(self) -> dict[str, Branch]:
        """Map each branch's name to how it leaves its parent."""
        return {
            name: settings.branch_from(self.conditions[settings.branch.parent].resolve())
            for name, settings in self.conditions.items()
            if settings.branch
        }

    def measured(self, measurement: str) -> list[str]:
        """Return the names of the conditions that have this measurement; none if the study leaves it out."""
        if getattr(self.measurements, measurement) is None:
            return []
        return [name for name, settings in self.conditions.items() if measurement in settings.measured]

    def resolved(self) -> dict[str, Any]:
        """Return all settings that results depend on, as JSON, with presets and defaults filled in.

        Returns:
            `study` has the study's own settings, and `conditions` each condition's settings by name.
        """
        own = self.model_dump(mode="json", exclude={"defaults", "conditions", "keep"})
        # Results do not depend on settings of things that the study leaves out. Without these keys, a new kind of
        # measurement does not make older results look stale.
        if own["duels"] == {"toy": None, "planted": None}:
            del own["duels"]
        measurements = own["measurements"]
        if measurements["progress"] is None and measurements["updates"] is None:
            del measurements["onset"]
        for name in ("progress", "updates", "answers", "spikes"):
            if measurements[name] is None:
                del measurements[name]
        conditions = {
            name: json.loads(records.to_json(settings.resolve())) for name, settings in self.conditions.items()
        }
        for name, branch in self.branches.items():
            conditions[name]["branch"] = as_json(branch, self.parent(name))
        for name, settings in self.conditions.items():
            if settings.measurements is not None:
                conditions[name]["measurements"] = list(settings.measured)
        return {"study": own, "conditions": conditions}

    def parent(self, name: str) -> str:
        """Return the name of the condition that a branch leaves."""
        branch = self.conditions[name].branch
        assert branch is not None
        return branch.parent
