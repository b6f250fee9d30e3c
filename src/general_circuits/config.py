"""A study as typed settings: the only place that knows defaults. Read when the DAG is built; stages get the result.

`load` turns a config into a `Study` or raises `ConfigError`, whose message names every key at fault, the value found
and what would be right. `config/README.md` and `workflow/schemas/study.schema.json` are generated from these models.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from general_circuits import conditions as records
from general_circuits.costs import Deletions, Size
from general_circuits.faults import at, explained, listed, place
from general_circuits.misfits import by_hand_misfits, lacking, misfits, why_not_reduced
from general_circuits.models.shapes import weight_shapes
from general_circuits.presets import PRESETS
from general_circuits.splits import SplitError
from general_circuits.tasks import registry

ALTERNATIVES = (frozenset({"operation", "expression"}), frozenset({"train_fraction", "train_count"}))
"""Keys of which one is given in place of the other."""
LINE_SEARCHING = ("line_search", "lbfgs")
"""Update rules that evaluate the loss several times in a step, and find their step size by it."""


class ConfigError(ValueError):
    """A config that cannot run; the message lists every fault."""


def _number(value: Any) -> Any:
    """YAML reads 1e-3 as text; the user meant the number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


Number = Annotated[float, BeforeValidator(_number)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)] | Literal["replica"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Settings(BaseModel):
    """No unknown keys, no silent conversion, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Spacing(Settings):
    """Steps spaced evenly on both axes. The first and the last step always belong."""

    log: int = Field(10, ge=1, description="how many steps, evenly spaced on a log axis")
    every: int = Field(250, ge=1, description="one step in so many, evenly spaced on a linear axis")


class TaskSettings(Settings):
    """What is to be learned: a table of examples. docs/tasks.md lists them."""

    operation: str | list[str] = Field(
        "x+y",
        description="by name: modulo `modulus`, or composed in `group`; or `sparse_parity`, `boolean`, `digits`. Of a"
        " list of q, example (x, y) has the one numbered x mod q",
    )
    expression: str | list[str] | None = Field(
        None, description="in place of `operation`: a formula of your own in x and y, or a list, modulo `modulus`"
    )
    modulus: int = Field(59, ge=2, le=1024, description="p; operands run from 0 to p − 1. Prime where there is a /")
    group: str | list[list[int]] | None = Field(
        None, description="for x*y, x*y*x^-1, x*y*x: S5, D7, C12 and their like, or a multiplication table, row by row"
    )
    bits: int = Field(40, ge=1, le=256, description="inputs of `sparse_parity` and `boolean`")
    relevant_bits: int = Field(3, ge=1, description="of `sparse_parity`: the first so many decide")
    examples: int = Field(2000, ge=2, le=100_000, description="of `sparse_parity`: random inputs, in both splits")
    function: str | None = Field(
        None, description="of `boolean`: and, or, parity, majority, or its values for all inputs, as in '0110'"
    )


class SplitSettings(Settings):
    """Which examples train. Equal settings with equal seeds are equal splits; a smaller fraction is a subset."""

    train_fraction: Number = Field(0.6, gt=0, lt=1, description="share of the examples that trains")
    train_count: int | None = Field(None, ge=1, description="in place of `train_fraction`: how many examples train")
    split_by: Literal["pair", "example"] = Field(
        "pair", description="`pair`: (a, b) and (b, a) are on one side; `example`: each is drawn by itself"
    )
    split_seed: Seed = Field("replica", description="of the split; a number gives every replica the same one")
    label_noise: Number = Field(
        0.0, ge=0, le=1, description="ξ, share of the training examples whose label is random; 1 is random labels"
    )
    label_seed: Seed = Field("replica", description="of those labels, likewise")


class ModelSettings(Settings):
    """A network that reads the inputs and answers with a class; docs/networks.md lists those with a name."""

    preset: Literal["power", "nanda", "pre_norm", "quadratic_mlp", "parity_mlp", "mlp"] = Field(
        "nanda",
        description="the architecture, and where the keys of this section that are not given come from; what `defaults`"
        " say of another architecture does not apply to a condition that names one of its own",
    )
    inputs: Literal["tokens", "one_hot", "embedding", "ordinal"] | None = Field(
        None,
        description="what is read: of transformers `tokens`; of MLPs each input as a one-hot vector, as an embedding"
        " that all inputs share, or as one number from −1 to 1",
    )
    n_layers: int | None = Field(None, ge=1, le=12, description="transformer blocks, or hidden layers")
    d_model: int | None = Field(
        None, ge=1, description="width of the residual stream, or of an MLP's `inputs: embedding`"
    )
    n_heads: int | None = Field(
        None, ge=1, description="attention heads per block; must divide `d_model`; of transformers"
    )
    d_mlp: int | None = Field(None, ge=2, description="neurons per layer")
    activation: Literal["relu", "gelu", "quadratic"] | None = Field(None, description="of the neurons")
    normalisation: Literal["none", "pre", "post"] | None = Field(
        None,
        description="layer norm: none; before attention and MLP, and a final one; or after each residual sum; of"
        " transformers",
    )
    biases: Literal["none", "mlp", "blocks", "all"] | None = Field(
        None,
        description="which linear maps have one: none, those of the neurons, also of attention, or the unembedding too",
    )
    positions: Literal["learned", "sinusoidal"] | None = Field(None, description="position embeddings; of transformers")
    initialisation: Literal["normal", "linear", "multihead", "mean_field", "fourier", "lookup_table"] | None = Field(
        None,
        description="`normal`: standard deviation 1/√d_model, biases zero; `linear`: as torch's `nn.Linear` and"
        " `nn.Embedding`; `multihead`: the same, attention as `nn.MultiheadAttention`; `mean_field`: normal with"
        " standard deviation (16 d_mlp)^(−1/3), of MLPs; built by hand: `fourier`, which adds, and `lookup_table`,"
        " which knows its training examples",
    )
    outputs: Literal["classes", "sign"] | None = Field(
        None, description="a logit per class, or one number whose sign tells two classes apart; of MLPs"
    )


class OptimiserSettings(Settings):
    """How one step is taken."""

    optimiser: Literal["adamw", "adam", "sgd", "line_search", "lbfgs"] = Field(
        "adamw", description="update rule; line_search and lbfgs need `batch_size: full`"
    )
    learning_rate: Number = Field(
        1e-3,
        gt=0,
        description="after warm-up, constant; of line_search the first step size tried, of lbfgs in every step, where 1"
        " is usual",
    )
    warm_up: int = Field(
        10, ge=0, description="steps of linear warm-up; line_search and lbfgs have none, whatever it is"
    )
    weight_decay: Number = Field(
        1.0, ge=0, description="of the weights in `decay_on`; decoupled, a step removes rate × this"
    )
    decay: Literal["decoupled", "coupled"] | None = Field(
        None, description="beside the gradient or inside it; by default decoupled for adamw, coupled for all others"
    )
    decay_on: Literal["all"] | list[str] = Field(
        "all",
        min_length=1,
        description="which weights decay: `all`, or patterns of their names, as `[embed.W_E, blocks.*.mlp.*]`; one that"
        " matches no weight is refused",
    )
    beta1: Number = Field(0.9, ge=0, lt=1, description="Adam's memory of the gradient")
    beta2: Number = Field(0.98, ge=0, lt=1, description="Adam's memory of its square")
    epsilon: Number = Field(1e-8, gt=0, description="Adam's ε")
    momentum: Number = Field(0.0, ge=0, lt=1, description="of sgd")
    gradient_noise: Number = Field(
        0.0, ge=0, description="standard deviation of Gaussian noise on every coordinate of the gradient, in every step"
    )
    grokfast_alpha: Number = Field(0.98, ge=0, lt=1, description="Grokfast's memory of the gradient (Lee et al. 2024)")
    grokfast_lambda: Number = Field(0.0, ge=0, description="how much of what it remembers Grokfast adds; 0 is none")
    batch_size: int | Literal["full"] = Field(512, description="examples per step, or `full`")
    loss: Literal["cross_entropy", "mean_squared_error", "hinge", "stablemax"] | None = Field(
        None, description="what training makes small; by default the preset's"
    )
    loss_precision: Literal["float32", "float64"] = Field("float32", description="of logits in the training loss")
    arithmetic: Literal["reduced", "plain"] | None = Field(
        None,
        description="of gradients: with what can be left out, or by the plain network; equal to rounding; by default"
        " reduced for transformers over two operands, plain for all else, which has no reduced form",
    )


class ScheduleSettings(Settings):
    """How long training lasts, and when it is looked at."""

    steps: int = Field(6000, ge=0, description="updates; 0 looks at the weights as they begin")
    checkpoints: Spacing = Field(Spacing(log=10, every=250), description="when weights are kept")
    metrics: Spacing = Field(Spacing(log=30, every=50), description="when both splits are evaluated whole")


class ConditionSettings(TaskSettings, SplitSettings, ModelSettings, OptimiserSettings, ScheduleSettings):
    """One complete setting."""

    def resolve(self) -> records.Condition:
        """The frozen records that stages work on: presets filled in, nothing left open."""
        values = self.model_dump()
        preset = asdict(PRESETS[self.preset].model)
        values |= {key: preset[key] for key in preset if values.get(key) is None}
        if values["inputs"] not in ("tokens", "embedding") and self.d_model is None:
            values["d_model"] = 0
        if values["decay"] is None:
            values["decay"] = "decoupled" if self.optimiser == "adamw" else "coupled"
        if values["decay_on"] != "all":
            values["decay_on"] = tuple(values["decay_on"])
        if self.optimiser in LINE_SEARCHING:
            values["warm_up"] = 0
        values["loss"] = values["loss"] or PRESETS[self.preset].loss

        values["train_size"] = float(self.train_fraction) if self.train_count is None else self.train_count

        def part(kind: Any) -> Any:
            return kind(**{key: values[key] for key in kind.__dataclass_fields__})

        model = part(records.Model)
        task = registry.resolve(self)
        if values["arithmetic"] is None:
            values["arithmetic"] = "plain" if why_not_reduced(model, registry.n_inputs(task)) else "reduced"
        schedule = records.Schedule(
            steps=self.steps,
            checkpoints=records.Spacing(**values["checkpoints"]),
            metrics=records.Spacing(**values["metrics"]),
        )
        return records.Condition(task, part(records.Split), model, part(records.Optimiser), schedule)


SECTIONS = (TaskSettings, SplitSettings, ModelSettings, OptimiserSettings, ScheduleSettings)


class SaliencySettings(Settings):
    """Attribution of each answer to every neuron: every method × target × normalisation × site. docs/saliency.md."""

    methods: list[
        Literal[
            "activation_gradient",
            "integrated_gradients",
            "integrated_gradients_from_mean",
            "conductance",
            "ablation_effect",
            "shapley",
        ]
    ] = Field(
        ["activation_gradient"],
        min_length=1,
        description="integrated gradients from zero activation, or from the mean over training examples; conductance of"
        " the path from blank inputs; the effect of setting one neuron to zero; Shapley values of neurons set to zero",
    )
    targets: list[Literal["right_minus_mean", "right_logit", "margin", "log_probability"]] = Field(
        ["right_minus_mean"],
        min_length=1,
        description="what is attributed: the right logit minus the mean logit, the right logit, minus the largest other"
        " logit, or the log-probability of the label",
    )
    normalisations: list[Literal["raw", "matched", "per_example"]] = Field(
        ["raw", "matched"],
        min_length=1,
        description="`matched`: of logits divided by their scale, so that checkpoints compare; `per_example`: as shares"
        " of all that is attributed on an example",
    )
    sites: list[Literal["mlp", "head_outputs", "heads"]] = Field(
        ["mlp"],
        min_length=1,
        description="whose neurons: MLP units, units of the attention heads' outputs, whole heads; of every layer,"
        " where a network has them",
    )
    examples: Count | Literal["all"] = Field(
        256, description="seen by methods that take many passes, drawn once per replica; the others see all"
    )
    integration_steps: int = Field(
        50, ge=2, description="of conductance; and those that integrated gradients begin with, where they are not exact"
    )
    most_integration_steps: int = Field(
        400, ge=2, description="integrated gradients double theirs up to so many, until they are complete"
    )
    completeness_error: Number = Field(1e-3, gt=0, description="what counts as complete, relative to what is explained")
    permutations: int = Field(8, ge=2, description="of Shapley values, which are exact for up to ten neurons")
    checkpoints: Count | Literal["all"] = Field("all", description="how many checkpoints, evenly chosen; or `all`")
    by_example: int = Field(
        0, ge=0, description="of how many checkpoints every example's saliency is kept too; docs/running.md says more"
    )

    @property
    def combinations(self) -> int:
        """Of method, target and normalisation at one place."""
        return len(self.methods) * len(self.targets) * len(self.normalisations)

    def asked(self) -> str:
        """What a stage is asked, as JSON."""
        lists = {key: getattr(self, key) for key in ("methods", "targets", "normalisations", "sites")}
        efforts = ("integration_steps", "most_integration_steps", "completeness_error", "permutations")
        examples = 0 if self.examples == "all" else self.examples
        effort = {key: getattr(self, key) for key in efforts}
        return json.dumps({**lists, "examples": examples, "effort": effort}, sort_keys=True)


class AblationSettings(Settings):
    """Deletion of the k most salient neurons, of as many others, and what that costs. docs/ablation.md explains it."""

    sites: list[Literal["mlp", "head_outputs", "heads"]] = Field(
        ["mlp"],
        min_length=1,
        description="whose neurons: the MLP's units, the units of the attention heads' outputs, or whole heads;"
        " perceptrons have only the first",
    )
    deletions: list[Literal["zero", "mean", "resample"]] = Field(
        ["zero", "mean"],
        min_length=1,
        description="what a deleted unit is set to: zero, its mean over training examples, or its value in another",
    )
    rankings: list[
        Literal[
            "mean_magnitude",
            "median_magnitude",
            "q95_magnitude",
            "median",
            "breadth",
            "activation_norm",
            "weight_norm",
        ]
    ] = Field(
        ["mean_magnitude", "median_magnitude", "q95_magnitude", "activation_norm", "weight_norm"],
        min_length=1,
        description="what neurons are ranked by: statistics of every saliency that the study computes (of `median` the"
        " size counts), and norms; beside at random",
    )
    dead_units: list[Literal["included", "excluded"]] = Field(
        ["included"], min_length=1, description="whether neurons that fire on no training example are ranked"
    )
    splits: list[Literal["train", "validation"]] = Field(
        ["train", "validation"], min_length=1, description="on whose examples; the claims read training examples"
    )
    k_points: Annotated[int, Field(ge=2)] | Literal["all"] = Field(
        20,
        description="sizes k that are kept, from 1 to all neurons, evenly spaced on a log axis; or `all`. Where the"
        " logits are linear in the neurons every k is measured, and counts in the table `damage`",
    )
    random_draws: int = Field(20, ge=1, description="random rankings to compare with")
    examples: int = Field(1024, ge=1, description="examples per split, drawn once per replica; all if there are fewer")
    checkpoints: Count | Literal["all"] = Field("all", description="of those with saliency; how many, or `all`")

    def curves(self, combinations: int) -> int:
        """Of one layer on one split, where so many kinds of saliency are computed."""
        norms = sum(name.endswith("_norm") for name in self.rankings)
        orders = combinations * (len(self.rankings) - norms) + norms + 2 + self.random_draws
        return len(self.sites) * len(self.deletions) * len(self.dead_units) * orders


class MeasurementSettings(Settings):
    """What is measured at checkpoints."""

    saliency: SaliencySettings = SaliencySettings()
    ablation: AblationSettings = AblationSettings()


class KeepSettings(Settings):
    """What stays on disk once a study has run. Changing it reruns nothing."""

    weights: bool = Field(True, description="checkpoints; else they go once everything is measured from them")
    states: int = Field(
        8, ge=0, description="training states per replica, evenly by step, that replays start from; 0: from the seed"
    )


class Study(Settings):
    """A config: conditions, replicas, measurements."""

    study: Name = Field(description="its name; results lie under results/{study}/")
    replicas: int = Field(3, ge=1, description="seeds per condition")
    block: int = Field(1, ge=1, description="replicas that one job trains; must divide `replicas`")
    first_seed: int = Field(0, ge=0, description="replicas have the seeds from here on; settings are tuned on ≥ 1000")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks are trained and measured")
    defaults: ConditionSettings = Field(ConditionSettings(), description="settings that every condition starts from")
    conditions: dict[Name, ConditionSettings] = Field(
        min_length=1, description="by name, the settings that differ from `defaults`"
    )
    measurements: MeasurementSettings = MeasurementSettings()
    keep: KeepSettings = KeepSettings()

    @property
    def deletions(self) -> Deletions:
        """How much a job deletes, for costs."""
        saliency, ablation = self.measurements.saliency, self.measurements.ablation
        return Deletions(
            ablation.examples,
            len(ablation.splits),
            ablation.k_points,
            ablation.curves(getattr(saliency, "combinations", len(saliency.methods))),
            ablation.checkpoints,
            self.block,
        )

    @property
    def blocks(self) -> int:
        """Blocks per condition."""
        return self.replicas // self.block

    def resolved(self) -> dict[str, Any]:
        """What results depend on, as JSON: the `study`'s own settings, and its `conditions` by name, none left open."""
        return {
            "study": self.model_dump(mode="json", exclude={"defaults", "conditions", "keep"}),
            "conditions": {
                name: json.loads(records.to_json(settings.resolve())) for name, settings in self.conditions.items()
            },
        }


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
    if both_given := list(_both_given(raw)):
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
    saliency, ablation = study.measurements.saliency, study.measurements.ablation
    for section, key, values, needed in (
        ("saliency", "methods", saliency.methods, "activation_gradient"),
        ("saliency", "targets", saliency.targets, "right_minus_mean"),
        ("saliency", "normalisations", saliency.normalisations, "raw"),
        ("saliency", "sites", saliency.sites, "mlp"),
        ("ablation", "sites", ablation.sites, "mlp"),
        ("ablation", "deletions", ablation.deletions, "zero"),
        ("ablation", "rankings", ablation.rankings, "mean_magnitude"),
        ("ablation", "dead_units", ablation.dead_units, "included"),
        ("ablation", "splits", ablation.splits, "train"),
    ):
        if needed not in values:
            yield ("measurements", section, key), values, f"should include {needed}, which the claims are judged by"
        if len(set(values)) < len(values):
            yield ("measurements", section, key), values, "should name each once"
    for name, settings in study.conditions.items():
        here = ("conditions", name)
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
