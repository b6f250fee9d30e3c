"""A study as typed settings, with `settings` and `measurements` the only place that knows defaults.

Read when the DAG is built; stages get the result. `load` turns a config into a `Study` or raises `ConfigError`, whose
message names every key at fault, the value found and what would be right. `config/README.md` and
`workflow/schemas/study.schema.json` are generated from these models.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from general_circuits import records
from general_circuits.claims.registry import CLAIMS
from general_circuits.config.branch import (
    Measurement,
    StudyCondition,
    against_branches,
    as_json,
    branch_in,
    change_in,
    multiplied,
)
from general_circuits.config.condition import (
    LINE_SEARCHING,
    ConditionSettings,
    Name,
    OptimiserSettings,
    Settings,
    TaskSettings,
)
from general_circuits.config.duels import DuelSettings, PlantedSettings, ToySettings
from general_circuits.config.errors import at, explained, listed, place
from general_circuits.config.measurements import AblationSettings, AttributionSettings, MeasurementSettings
from general_circuits.models.compatibility import by_hand_misfits, lacking, misfits, why_not_reduced
from general_circuits.models.shapes import weight_shapes
from general_circuits.pipeline.memory import Attributions, Deletions, Size
from general_circuits.records import flat
from general_circuits.storage.schemas import registry as schemas
from general_circuits.tasks import registry
from general_circuits.tasks.splits import SplitError
from general_circuits.training.settings import Branch, Condition

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
        """Blocks per condition."""
        return self.replicas // self.block

    @property
    def branches(self) -> dict[str, Branch]:
        """By name, of the conditions that continue another one, how."""
        return {
            name: settings.branch_from(self.conditions[settings.branch.parent].resolve())
            for name, settings in self.conditions.items()
            if settings.branch
        }

    def measured(self, measurement: Measurement) -> list[str]:
        """The conditions of which this is measured; none where the study leaves it out."""
        if getattr(self.measurements, measurement) is None:
            return []
        return [name for name, settings in self.conditions.items() if measurement in settings.measured]

    def resolved(self) -> dict[str, Any]:
        """What results depend on, as JSON: the `study`'s own settings, and its `conditions` by name, none left open."""
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
