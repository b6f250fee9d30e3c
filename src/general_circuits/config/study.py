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

MEASUREMENTS: Mapping[Measurement, str] = {
    "saliency": "saliency",
    "ablation": "ablation",
    "progress": "progress measures",
    "updates": "tracked updates",
    "answers": "recorded answers",
    "spikes": "watched spikes",
}
"""What a condition may do without, in words."""

ALTERNATIVES = (frozenset({"operation", "expression"}), frozenset({"train_fraction", "train_count"}))
"""Keys of which one is given in place of the other."""


class ConfigError(ValueError):
    """A config that cannot run; the message lists every fault."""


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
    def attributions(self) -> Attributions:
        """How much a job attributes, for costs."""
        saliency = self.measurements.saliency
        return _attributions(saliency, saliency.checkpoints, self.block)

    @property
    def specified_attributions(self) -> Attributions:
        """How much a job attributes for specification curves."""
        return _attributions(self.measurements.every_way, "all", self.block)

    @property
    def specified_deletions(self) -> Deletions:
        """How much a job deletes for specification curves."""
        return _deletions(self.measurements.every_ablation, self.measurements.every_way.combinations, self.block)

    @property
    def deletions(self) -> Deletions:
        """How much a job deletes, for costs."""
        return _deletions(self.measurements.ablation, 1, self.block)

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

    @property
    def lacking(self) -> list[str]:
        """The claims for which it lacks a condition or variants of grokking."""
        found = self.flat
        return [
            name
            for name, claim in CLAIMS.items()
            if set(claim.needs) - set(found) or not all(variants.of(found) for variants in claim.needs_variants)
        ]

    @property
    def flat(self) -> dict[str, dict[str, Any]]:
        """By name, every condition's settings as claims find them by."""
        return {name: flat(settings) for name, settings in self.resolved()["conditions"].items()}

    def measured(self, measurement: Measurement) -> list[str]:
        """The conditions of which this is measured; none where the study leaves it out."""
        if getattr(self.measurements, measurement) is None:
            return []
        return [name for name, settings in self.conditions.items() if measurement in settings.measured]

    @property
    def measured_throughout(self) -> list[str]:
        """The conditions of which something is measured that is no matter of a claim's own conditions."""
        of_all = {schemas.table(name).measurement for name in schemas.of_blocks()} - {""}
        return [name for name, settings in self.conditions.items() if of_all & {*settings.measured}]

    @property
    def absent(self) -> dict[str, str]:
        """Tables that this study has no file of, with what it would need for them, in words."""
        lacking = {} if self.duels.toy else {"toy": "toy duels"}
        if not self.duels.planted:
            lacking |= dict.fromkeys(("planted", "modules"), "planted duels")
        for measurement, words in MEASUREMENTS.items():
            if not self.measured(measurement):
                names = [name for name in schemas.names() if schemas.table(name).measurement == measurement]
                lacking |= dict.fromkeys(names, words)
        return lacking

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
            found[name]["branch"] = as_json(branch, self._parent(name))
        for name, settings in self.conditions.items():
            if settings.measurements is not None:
                found[name]["measurements"] = list(settings.measured)
        return {"study": own, "conditions": found}

    def _parent(self, name: str) -> str:
        branch = self.conditions[name].branch
        assert branch is not None
        return branch.parent


def _attributions(settings: AttributionSettings, checkpoints: int | Literal["all"], replicas: int) -> Attributions:
    targets = list(settings.targets)
    if "matched" in settings.normalisations and "log_probability" in targets:
        targets.append("log_probability")  # at another scale it is attributed by itself
    return Attributions(
        tuple(settings.methods),
        settings.examples,
        len(targets),
        settings.combinations,
        tuple(settings.sites),
        checkpoints,
        replicas,
    )


def _deletions(settings: AblationSettings, combinations: int, replicas: int) -> Deletions:
    return Deletions(
        settings.examples,
        len(settings.splits),
        settings.k_points,
        settings.curves(combinations),
        settings.checkpoints,
        replicas,
    )


def load(raw: Mapping[str, Any]) -> Study:
    """The study that a parsed config describes, defaults merged into conditions; `ConfigError` if it cannot run."""
    if not isinstance(raw, Mapping):
        raise ConfigError(f"config: {raw!r}: should be a mapping of keys to values")
    merged = dict(raw)
    defaults = raw.get("defaults") or {}
    own = raw.get("conditions")
    if isinstance(defaults, Mapping) and isinstance(own, Mapping):
        merged["defaults"] = dict(defaults)
        merged["conditions"] = {
            name: _inherited(defaults, settings or {}) if isinstance(settings or {}, Mapping) else settings
            for name, settings in own.items()
        }
        for name, settings in own.items():
            branch = branch_in(settings)
            if branch is not None:
                parent = own.get(branch.get("from"), {}) or {}
                merged["conditions"][name] = _branched(settings, merged["conditions"].get(branch.get("from")), parent)
    if both_given := [*_both_given(raw), *_beside_branches(own)]:
        raise ConfigError(listed(iter(both_given)))
    try:
        study = Study.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(listed(explained(fault, raw, Study) for fault in error.errors())) from None
    faults = list(_contradictions(study))
    if faults:
        raise ConfigError(listed(at(place(location, raw), value, right) for location, value, right in faults))
    return study


def _both_given(raw: Mapping[str, Any]) -> Iterator[str]:
    """Two keys in one mapping of which one is in place of the other."""
    own = raw.get("conditions")
    mappings = {"defaults": raw.get("defaults")}
    mappings |= {f"conditions.{name}": settings for name, settings in own.items()} if isinstance(own, Mapping) else {}
    for where, settings in mappings.items():
        for keys in ALTERNATIVES if isinstance(settings, Mapping) else ():
            assert isinstance(settings, Mapping)
            given = sorted(key for key in keys if settings.get(key) is not None)
            if len(given) > 1:
                yield f"{where}: {' and '.join(given)}: should be one of them"


def _inherited(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A condition's settings. What `defaults` say of a network does not reach a preset of its own that lacks it."""
    merged = _merged(defaults, own)
    left_out = set(lacking(merged)) - own.keys() if "preset" in own else ()
    return {key: value for key, value in merged.items() if key not in left_out}


def _branched(own: Mapping[str, Any], parent: Any, written: Any) -> dict[str, Any]:
    """A branch's settings: its parent's, which are `written` in part, and what it changes."""
    if not isinstance(parent, Mapping) or branch_in(written) is not None:
        parent = {}
    kept = {key: value for key, value in parent.items() if key not in ("branch", "measurements")}
    return {**_merged(kept, multiplied(change_in(own), kept)), **own}


def _beside_branches(own: Any) -> Iterator[str]:
    """Settings beside a branch, which has its parent's."""
    for name, settings in own.items() if isinstance(own, Mapping) else ():
        for key in settings if branch_in(settings) is not None else ():
            if key not in ("branch", "measurements"):
                right = "should be under branch: change, since a branch has its parent's settings"
                yield f"conditions.{name}.{key}: {right}"


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` over `defaults`, key by key also inside mappings; a key of its own drops the alternatives to it."""
    given = {key for key, value in own.items() if value is not None}
    dropped = {other for keys in ALTERNATIVES if keys & given for other in keys - given}
    merged = {**{key: value for key, value in defaults.items() if key not in dropped}, **own}
    for key in defaults.keys() & own.keys():
        if isinstance(defaults[key], Mapping) and isinstance(own[key], Mapping):
            merged[key] = _merged(defaults[key], own[key])
    return merged


def _contradictions(study: Study) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Values that are each possible but not together: where, what, and what would be right."""
    if study.replicas % study.block:
        yield ("replicas",), study.replicas, f"should be a multiple of block = {study.block}"
    yield from _against_claims(study.measurements)
    if study.duels.toy:
        yield from _against_toy(study.duels.toy)
    wrong_branches = list(against_branches(study.conditions))
    yield from wrong_branches
    if wrong_branches:
        return
    trained: list[tuple[tuple[str, ...], ConditionSettings]] = []
    trained += [(("conditions", name), settings) for name, settings in study.conditions.items()]
    planted = study.duels.planted
    if planted:
        trained.append((("duels", "planted"), planted.condition))
    for here, settings in trained:
        try:
            resolved = settings.resolve()
        except registry.TaskError as error:
            yield (*here, error.key), error.value, error.right
            continue
        size_key = "train_fraction" if settings.train_count is None else "train_count"
        try:
            found = Size.of(resolved)
        except SplitError as error:
            yield (*here, size_key), getattr(settings, size_key), str(error)
            continue
        if isinstance(settings, StudyCondition) and settings.branch:
            for key, value, right in _against_parent(settings, study.conditions[settings.branch.parent], found):
                yield (*here, key), value, right
        wrong = list(misfits(settings.model_dump(), resolved.model, found.vocabulary.n_classes))
        wrong += by_hand_misfits(resolved.model, resolved.task, found.vocabulary, found.n_training)
        for key, right in wrong:
            yield (*here, key), getattr(resolved.model, key), right
        reason = why_not_reduced(resolved.model, found.vocabulary.n_inputs)
        if reason and settings.arithmetic == "reduced":
            yield (*here, "arithmetic"), "reduced", f"should be plain, since {reason}"
        if settings.optimiser == "adamw" and settings.decay == "coupled":
            yield (*here, "decay"), "coupled", "adamw's is decoupled; for coupled decay set optimiser: adam"
        if settings.optimiser != "sgd" and settings.momentum:
            yield (*here, "momentum"), settings.momentum, "belongs to optimiser: sgd; leave it out, or see beta1"
        if settings.decay_on != "all" and not wrong:  # a network that cannot be has no weights
            names = weight_shapes(resolved.model, found.vocabulary)
            for pattern in settings.decay_on:
                if not fnmatch.filter(names, pattern):
                    yield (*here, "decay_on"), pattern, f"matches no weight; they are {', '.join(sorted(names))}"
        if settings.optimiser in LINE_SEARCHING:
            for key, value, right in _against_line_search(settings):
                yield (*here, key), value, right
        size = found.n_training
        if not 0 < size < found.n_examples:
            which = "validation" if size else "training"
            yield (*here, size_key), getattr(settings, size_key), f"leaves no {which} example of {found.n_examples}"
        elif settings.batch_size != "full" and not 0 < settings.batch_size <= size:
            yield (
                (*here, "batch_size"),
                settings.batch_size,
                f"should be from 1 to the {size} training examples, or full",
            )
        if planted and here == ("duels", "planted"):
            for key, value, right in _against_planted(planted, resolved, size):
                yield (*here, key), value, right


def _against_parent(settings: StudyCondition, parent: StudyCondition, own: Size) -> Iterator[tuple[str, Any, str]]:
    """What a branch changes to something that its parent's network has no place for: key, what, what is right."""
    assert settings.branch is not None
    try:
        theirs = Size.of(parent.resolve()).vocabulary
    except (registry.TaskError, SplitError):
        return  # told where the parent is
    if theirs != own.vocabulary:
        key = next(key for key in settings.branch.change.settings if key in TaskSettings.model_fields)
        had, has = ((each.n_inputs, each.n_symbols, each.n_classes) for each in (theirs, own.vocabulary))
        right = f"should leave the parent's {had[0]} inputs of {had[1]} symbols and {had[2]} classes"
        yield key, getattr(settings, key), f"{right}, but has {has[0]} of {has[1]} and {has[2]}"
    drawn = settings.branch.change.batch_noise
    if drawn is not None and drawn > own.n_training:
        yield "batch_noise", drawn, f"should be at most the {own.n_training} training examples"


def _against_toy(toy: ToySettings) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Numbers of pairs that there are not: where, what, and what would be right."""
    for key in ("coverages", "batch_sizes"):
        if any(number > toy.pairs for number in getattr(toy, key)):
            yield ("duels", "toy", key), getattr(toy, key), f"should be at most pairs = {toy.pairs}"


def _against_planted(planted: PlantedSettings, resolved: Condition, n_training: int) -> Iterator[tuple[str, Any, str]]:
    """Values that leave modules nothing to train on, or to begin from: key, what, and what would be right."""
    for key in ("parts", "batch_sizes"):
        if any(number > n_training for number in getattr(planted, key)):
            yield key, getattr(planted, key), f"should be at most the {n_training} training examples"
    if "sgd" not in planted.rules:
        yield "rules", sorted(planted.rules), "should include sgd, which the claims are judged by"
    if planted.initial_shares[0] != 0.5:
        yield "initial_shares", planted.initial_shares, "should begin with 0.5, where the claims' duels begin"
    if planted.label_noises[0] != 0:
        yield "label_noises", planted.label_noises, "should begin with 0, which the claims are judged by"
    if planted.label_noise:
        yield "label_noise", planted.label_noise, "should be 0: label_noises has the rates of wrong labels"
    if resolved.model.initialisation in ("fourier", "lookup_table"):
        yield "initialisation", resolved.model.initialisation, "should be drawn, since modules are trained"


def _against_line_search(settings: OptimiserSettings) -> Iterator[tuple[str, Any, str]]:
    """Values that leave a rule without the one function that it searches along: key, what, and what would be right."""
    rule = settings.optimiser
    if settings.batch_size != "full":
        yield "batch_size", settings.batch_size, f"should be full, since {rule} compares losses of the same examples"
    if settings.decay == "decoupled":
        yield "decay", "decoupled", f"should be coupled, or left out: {rule}'s decay is a part of what it makes small"
    for key in ("gradient_noise", "grokfast_lambda"):
        if value := getattr(settings, key):
            yield key, value, f"should be 0, since {rule} needs the gradient of what it makes small"


def _against_claims(measured: MeasurementSettings) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Lists that name something twice, or leave out what the claims read."""
    attributed = {
        "methods": "activation_gradient",
        "targets": "right_minus_mean",
        "normalisations": "raw",
        "sites": "mlp",
    }
    deleted = {"sites": "mlp", "deletions": "zero", "rankings": "mean_magnitude", "splits": "train"}
    needed: dict[str, dict[str, str]] = {
        "saliency": {**attributed},
        "ablation": {**deleted, "dead_units": "included"},
    }
    if measured.specifications is not None:
        also = {"statistics": "mean_magnitude", "splits": "train", "deletions": "zero", "damage_sites": "mlp"}
        needed["specifications"] = {**attributed, **also, "dead_units": "included"}
    for section, keys in needed.items():
        for key, value in keys.items():
            found = getattr(getattr(measured, section), key)
            if value not in found:
                yield ("measurements", section, key), found, f"should include {value}, which the claims are judged by"
            if len(set(found)) < len(found):
                yield ("measurements", section, key), found, "should name each once"
    chosen = measured.specifications
    if chosen is not None and not set(chosen.damage_sites) <= set(chosen.sites):
        yield ("measurements", "specifications", "damage_sites"), chosen.damage_sites, "should be among sites"
