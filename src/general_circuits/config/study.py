"""A study as typed models. This room's models are the only place that knows defaults.

`config/README.md` and `workflow/schemas/study.schema.json` are generated from these models.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field

from general_circuits import records
from general_circuits.config.branch import StudyCondition, as_json
from general_circuits.config.condition import ConditionSettings, Name, Settings
from general_circuits.config.duels import DuelSettings
from general_circuits.config.measurements import MeasurementSettings
from general_circuits.training.settings import Branch


class KeepSettings(Settings):
    """What stays on disk once a study has run. Changing it reruns nothing."""

    weights: bool = Field(
        True, description="whether checkpoints stay; otherwise they are removed once everything is measured from them"
    )
    states: int = Field(
        8,
        ge=0,
        description="number of training states kept per replica, evenly by step. Replays start from them; with"
        " 0 they start from the seed",
    )


class Study(Settings):
    """A config: conditions, replicas, measurements."""

    study: Name = Field(description="name of the study; its results lie under results/{study}/")
    replicas: int = Field(3, ge=1, description="seeds per condition")
    block: int = Field(1, ge=1, description="replicas that one job trains; must divide `replicas`")
    first_seed: int = Field(
        0, ge=0, description="seed of the first replica; the others follow it. Settings are tuned on seeds from 1000 on"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks are trained and measured")
    defaults: ConditionSettings = Field(ConditionSettings(), description="settings that every condition starts from")
    conditions: dict[Name, StudyCondition] = Field(
        min_length=1,
        description="conditions by name, each with the settings that differ from `defaults`, or with a `branch`",
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
        """Return the conditions that have this measurement; none where the study leaves it out."""
        if getattr(self.measurements, measurement) is None:
            return []
        return [name for name, settings in self.conditions.items() if measurement in settings.measured]

    def resolved(self) -> dict[str, Any]:
        """Return all that results depend on, as JSON: the `study`'s settings and its `conditions`, none left open."""
        own = self.model_dump(mode="json", exclude={"defaults", "conditions", "keep"})
        if own["duels"] == {"toy": None, "planted": None}:
            del own["duels"]  # a study without duels depends on none of their settings
        asked = own["measurements"]
        if asked["progress"] is None and asked["updates"] is None:
            del asked["onset"]
        for name in ("progress", "updates", "answers", "spikes"):
            if asked[name] is None:
                del asked[name]
        found = {name: json.loads(records.to_json(settings.resolve())) for name, settings in self.conditions.items()}
        for name, branch in self.branches.items():
            found[name]["branch"] = as_json(branch, self.parent(name))
        for name, settings in self.conditions.items():
            if settings.measurements is not None:
                found[name]["measurements"] = list(settings.measured)
        return {"study": own, "conditions": found}

    def parent(self, name: str) -> str:
        """Return the name of the condition that a branch leaves."""
        branch = self.conditions[name].branch
        assert branch is not None
        return branch.parent
