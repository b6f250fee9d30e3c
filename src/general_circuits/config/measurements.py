"""The settings of what is measured at checkpoints, as typed models with their defaults."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field

from general_circuits.config.condition import Count, Number, Settings

Method = Literal[
    "activation_gradient",
    "integrated_gradients",
    "integrated_gradients_from_mean",
    "conductance",
    "ablation_effect",
    "shapley",
]
TargetName = Literal["right_minus_mean", "right_logit", "margin", "log_probability"]
Normalisation = Literal["raw", "matched", "per_example"]
Site = Literal["mlp", "head_outputs", "heads"]


class AttributionSettings(Settings):
    """Attribution of each answer to every neuron: every method × target × normalisation × site."""

    methods: list[Method] = Field(
        ["activation_gradient"],
        min_length=1,
        description="attribution methods. Integrated gradients start from zero activation, or from the mean"
        " over training examples. Conductance follows the path from blank inputs. The ablation"
        " effect sets one neuron to zero. Shapley values average over the orders in which neurons"
        " are set to zero",
    )
    targets: list[TargetName] = Field(
        ["right_minus_mean"],
        min_length=1,
        description="what is attributed: the right logit minus the mean logit; the right logit; the right logit"
        " minus the largest other logit; or the log-probability of the label",
    )
    normalisations: list[Normalisation] = Field(
        ["raw", "matched"],
        min_length=1,
        description="`raw` is in units of the target. `matched` divides logits by their scale, so that"
        " checkpoints compare. `per_example` gives shares of all that is attributed on an example",
    )
    sites: list[Site] = Field(
        ["mlp"],
        min_length=1,
        description="whose neurons: MLP units, units of the attention heads' outputs, or whole heads. All"
        " layers of a network that have them are measured",
    )
    examples: Count | Literal["all"] = Field(
        256,
        description="number of examples for methods that need many passes, drawn once per replica; the other"
        " methods see all examples",
    )
    integration_steps: int = Field(
        50,
        ge=2,
        description="number of steps of conductance. Integrated gradients begin with this number where they are"
        " not exact",
    )
    most_integration_steps: int = Field(
        400, ge=2, description="integrated gradients double their steps up to this number, until they are complete"
    )
    completeness_error: Number = Field(
        1e-3, gt=0, description="largest error that counts as complete, relative to what is explained"
    )
    permutations: int = Field(
        32, ge=2, description="random orders for Shapley values; with up to ten neurons the values are exact"
    )

    @property
    def combinations(self) -> int:
        """Of method, target and normalisation at one place."""
        return len(self.methods) * len(self.targets) * len(self.normalisations)

    def as_option(self) -> str:
        """Return the settings as stages take them, JSON."""
        lists = {key: getattr(self, key) for key in ("methods", "targets", "normalisations", "sites")}
        efforts = ("integration_steps", "most_integration_steps", "completeness_error", "permutations")
        examples = 0 if self.examples == "all" else self.examples
        effort = {key: getattr(self, key) for key in efforts}
        return json.dumps({**lists, "examples": examples, "effort": effort}, sort_keys=True)


class SaliencySettings(AttributionSettings):
    """Attribution of each answer to every neuron: every method × target × normalisation × site. docs/saliency.md."""

    checkpoints: Count | Literal["all"] = Field("all", description="number of checkpoints, evenly chosen; or `all`")
    by_example: int = Field(
        0,
        ge=0,
        description="number of checkpoints at which every example's saliency is kept too; docs/running.md says more",
    )


class AblationSettings(Settings):
    """Deletion of the k most salient neurons, of as many others, and what that costs. docs/ablation.md explains it."""

    sites: list[Site] = Field(
        ["mlp"],
        min_length=1,
        description="whose neurons: MLP units, units of the attention heads' outputs, or whole heads."
        " Perceptrons have only the first",
    )
    deletions: list[Literal["zero", "mean", "resample"]] = Field(
        ["zero", "mean"],
        min_length=1,
        description="what a deleted unit is set to: zero, its mean over training examples, or its value on"
        " another training example",
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
        description="what neurons are ranked by: statistics of the registered saliency, and norms. Of `median`,"
        " the size counts. Random orders are always added. `specifications` rank by the statistics"
        " of every saliency",
    )
    dead_units: list[Literal["included", "excluded"]] = Field(
        ["included"], min_length=1, description="whether neurons that fire on no training example are ranked"
    )
    splits: list[Literal["train", "validation"]] = Field(
        ["train", "validation"],
        min_length=1,
        description="splits on whose examples neurons are deleted; the claims read training examples",
    )
    k_points: Annotated[int, Field(ge=2)] | Literal["all"] = Field(
        20,
        description="number of sizes k that are kept, from 1 to all neurons, evenly spaced on a log axis; or"
        " `all`. Where the logits are linear in the neurons, every k up to a quarter is measured"
        " too, for the table `damage`",
    )
    random_draws: int = Field(20, ge=1, description="number of random orders to compare with")
    examples: int = Field(1024, ge=1, description="examples per split, drawn once per replica; all if there are fewer")
    checkpoints: Count | Literal["all"] = Field(
        "all", description="number of checkpoints, out of those with saliency; or `all`"
    )

    def as_option(self, attributions: Literal["registered", "all"]) -> str:
        """Return the settings as stages take them, JSON.

        Args:
            attributions: which saliencies neurons are ranked by. With all of them only areas are kept of the curves.
        """
        lists = {key: getattr(self, key) for key in ("sites", "deletions", "rankings", "dead_units")}
        own = {"k_points": self.k_points, "random_draws": self.random_draws, "examples": self.examples}
        asked = {
            "settings": {**lists, **own, "areas_only": attributions == "all"},
            "splits": self.splits,
            "checkpoints": 0 if self.checkpoints == "all" else self.checkpoints,
            "attributions": attributions,
        }
        return json.dumps(asked, sort_keys=True)

    def curves(self, combinations: int) -> int:
        """Of one layer on one split, where neurons are ranked by so many kinds of saliency."""
        norms = sum(name.endswith("_norm") for name in self.rankings)
        orders = combinations * (len(self.rankings) - norms) + norms + 2 + self.random_draws
        return len(self.sites) * len(self.deletions) * len(self.dead_units) * orders


class SpecificationSettings(AttributionSettings):
    """Every other way to ask what the claims ask, for their specification curves: each choice combined with each.

    Measured where the claims read, at the checkpoints around t_m and in the late window; examples and random draws of
    deletions are those of `ablation`.
    """

    methods: list[Method] = Field(
        ["activation_gradient", "integrated_gradients", "integrated_gradients_from_mean", "ablation_effect"],
        min_length=1,
        description="as for saliency",
    )
    targets: list[TargetName] = Field(
        ["right_minus_mean", "right_logit", "margin", "log_probability"], min_length=1, description="as for saliency"
    )
    normalisations: list[Normalisation] = Field(
        ["raw", "matched", "per_example"], min_length=1, description="as for saliency"
    )
    sites: list[Site] = Field(["mlp", "head_outputs"], min_length=1, description="as for saliency")
    damage_sites: list[Site] = Field(
        ["mlp"], min_length=1, description="the sites out of `sites` where neurons are deleted"
    )
    statistics: list[Literal["mean_magnitude", "median_magnitude", "q95_magnitude", "median", "breadth"]] = Field(
        ["mean_magnitude", "median_magnitude", "q95_magnitude", "median"],
        min_length=1,
        description="statistics that neurons are ranked by; histograms are made of every statistic",
    )
    splits: list[Literal["train", "validation"]] = Field(
        ["train", "validation"],
        min_length=1,
        description="splits on whose examples neurons are deleted; histograms are made of both",
    )
    dead_units: list[Literal["included", "excluded"]] = Field(
        ["included", "excluded"],
        min_length=1,
        description="as for ablation; histograms are made with dead units and without",
    )
    deletions: list[Literal["zero", "mean", "resample"]] = Field(
        ["zero", "mean", "resample"], min_length=1, description="as for ablation"
    )


class ProgressSettings(Settings):
    """What of a network's answers is the general solution, and what moves it. docs/progress.md explains it."""

    checkpoints: Count | Literal["all"] = Field(20, description="number of checkpoints, evenly chosen; or `all`")
    examples: int = Field(
        8, ge=0, description="number of training examples whose gradients are followed one by one; 0 follows none"
    )
    examples_checkpoints: Count = Field(
        6, description="number of checkpoints at which single examples are followed, evenly chosen"
    )


class OnsetSettings(Settings):
    """Checkpoints around each replica's onset, replayed to the same bytes; read by progress and updates."""

    before: Count = Field(400, description="steps before the onset that have such checkpoints")
    after: Count = Field(400, description="steps after the onset that have such checkpoints")
    every: Count = Field(100, description="steps between two of these checkpoints")


class UpdateSettings(Settings):
    """How general each neuron is, how examples agree on it, what updates make of it. docs/progress.md explains it."""

    checkpoints: Count | Literal["all"] = Field(20, description="number of checkpoints, evenly chosen; or `all`")


class AnswerSettings(Settings):
    """Every example's answer, and which examples gradients come from, of the conditions whose claims read them."""

    checkpoints: Count | Literal["all"] = Field(30, description="number of checkpoints, evenly chosen; or `all`")


class SpikeSettings(Settings):
    """Both losses at every step, by replay, and what comes of spikes, of the conditions whose claims read them."""

    threshold: Number = Field(
        2.0,
        gt=1,
        description="a training loss is a spike if it is more than this many times the median of the 50 steps before",
    )
    most: Count = Field(
        5,
        description="most spikes that are examined in each replica, evenly chosen; quiet windows and kicks are"
        " examined beside them",
    )


class MeasurementSettings(Settings):
    """What is measured at checkpoints."""

    saliency: SaliencySettings = SaliencySettings()
    ablation: AblationSettings = AblationSettings()
    specifications: SpecificationSettings | None = Field(
        None, description="measurements for the specification curves; without this key there are none"
    )
    progress: ProgressSettings | None = Field(None, description="progress measures; without this key there are none")
    onset: OnsetSettings = OnsetSettings()
    updates: UpdateSettings | None = Field(None, description="updates of the neurons; without this key there are none")
    answers: AnswerSettings | None = Field(None, description="every example's answer; without this key there are none")
    spikes: SpikeSettings | None = Field(
        None, description="spikes of the training loss; without this key there are none"
    )

    @property
    def progress_and_updates(self) -> tuple[ProgressSettings, OnsetSettings, UpdateSettings]:
        """Settings of progress and updates; their defaults where the study leaves them out."""
        return self.progress or ProgressSettings(), self.onset, self.updates or UpdateSettings()

    @property
    def answers_and_spikes(self) -> tuple[AnswerSettings, SpikeSettings]:
        """Settings of answers and spikes; their defaults where the study leaves them out."""
        return self.answers or AnswerSettings(), self.spikes or SpikeSettings()

    @property
    def specification(self) -> SpecificationSettings:
        """Settings of specification curves; their defaults where the study leaves them out."""
        return self.specifications or SpecificationSettings()

    @property
    def specification_ablation(self) -> AblationSettings:
        """Deletion for specification curves, on the examples and with the random draws of the registered one."""
        asked = self.specification
        chosen = {name: getattr(asked, name) for name in ("splits", "dead_units", "deletions")}
        chosen |= {"sites": asked.damage_sites, "rankings": asked.statistics, "checkpoints": "all"}
        return self.ablation.model_copy(update=chosen)
