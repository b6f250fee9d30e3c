"""Typed models of the settings of measurements at checkpoints, with their defaults."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field

from general_circuits.config.kinds import MOST_EXAMPLES, Choices, Count, Examples, Few, Number, Settings

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
    """Attribution of each answer to every neuron, by every combination of method, target, normalisation and site."""

    methods: Choices[Method] = Field(
        ["activation_gradient"],
        min_length=1,
        description="attribution methods. Integrated gradients start from zero activation, or from the mean"
        " over training examples. Conductance follows the path from blank inputs. The ablation"
        " effect sets one neuron to zero. Shapley values average over the orders in which neurons"
        " are set to zero",
    )
    targets: Choices[TargetName] = Field(
        ["right_minus_mean"],
        min_length=1,
        description="numbers that are attributed to neurons. `right_minus_mean` is the right logit minus the mean"
        " logit; `right_logit` is the right logit itself; `margin` is the right logit minus the largest"
        " other logit; `log_probability` is the label's",
    )
    normalisations: Choices[Normalisation] = Field(
        ["raw", "matched"],
        min_length=1,
        description="units of the saliency. `raw` keeps the units of the target; `matched` divides logits by their"
        " scale, which makes checkpoints comparable; `per_example` divides by the total magnitude of an"
        " example's saliency",
    )
    sites: Choices[Site] = Field(
        ["mlp"],
        min_length=1,
        description="kinds of neurons: MLP units (`mlp`), units of the attention heads' outputs (`head_outputs`) or"
        " whole heads (`heads`). They are measured in every layer",
    )
    examples: Examples | Literal["all"] = Field(
        256,
        description="number of examples for methods that need many passes, drawn once per replica. All other"
        " methods use all examples",
    )
    integration_steps: int = Field(
        50,
        ge=2,
        le=10_000,
        description="number of steps of conductance. Integrated gradients begin with this number, except where one"
        " step is exact",
    )
    most_integration_steps: int = Field(
        400,
        ge=2,
        le=10_000,
        description="largest number of steps of integrated gradients, which double their steps until they are complete",
    )
    completeness_error: Number = Field(
        1e-3, gt=0, le=1, description="largest relative error with which an attribution still counts as complete"
    )
    permutations: int = Field(
        32,
        ge=2,
        le=10_000,
        description="number of random orders for Shapley values. For up to ten neurons, the values are exact",
    )

    @property
    def combinations(self) -> int:
        """Number of combinations of method, target and normalisation in one layer."""
        return len(self.methods) * len(self.targets) * len(self.normalisations)

    def as_option(self) -> str:
        """Return the settings as the JSON that stages take."""
        lists = {key: getattr(self, key) for key in ("methods", "targets", "normalisations", "sites")}
        efforts = ("integration_steps", "most_integration_steps", "completeness_error", "permutations")
        examples = 0 if self.examples == "all" else self.examples
        effort = {key: getattr(self, key) for key in efforts}
        return json.dumps({**lists, "examples": examples, "effort": effort}, sort_keys=True)


class SaliencySettings(AttributionSettings):
    """Attribution of each answer to every neuron, by every combination of method, target, normalisation and site.

    docs/saliency.md explains it.
    """

    checkpoints: Few | Literal["all"] = Field("all", description="number of checkpoints, evenly chosen; or `all`")
    by_example: int = Field(
        0,
        ge=0,
        le=100,
        description="number of checkpoints at which the saliency of every example is also kept; docs/running.md says"
        " more",
    )


class AblationSettings(Settings):
    """Deletion of the k most salient neurons and of k other neurons, and the damage. docs/ablation.md explains it."""

    sites: Choices[Site] = Field(
        ["mlp"],
        min_length=1,
        description="kinds of neurons: MLP units (`mlp`), units of the attention heads' outputs (`head_outputs`) or"
        " whole heads (`heads`). MLPs have only the first kind",
    )
    deletions: Choices[Literal["zero", "mean", "resample"]] = Field(
        ["zero", "mean"],
        min_length=1,
        description="values of a deleted unit. `zero` is zero. `mean` is the unit's mean over training examples."
        " `resample` is its value on another training example",
    )
    rankings: Choices[
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
        description="statistics that rank the neurons: of the registered saliency, and norms. `median` ranks by its"
        " absolute value. Random orders are always added. `specifications` rank by the statistics of"
        " every saliency",
    )
    dead_units: Choices[Literal["included", "excluded"]] = Field(
        ["included"], min_length=1, description="whether neurons that fire on no training example are ranked"
    )
    splits: Choices[Literal["train", "validation"]] = Field(
        ["train", "validation"],
        min_length=1,
        description="splits whose examples the network answers without the neurons; the claims read `train`",
    )
    k_points: Annotated[int, Field(ge=2, le=10_000)] | Literal["all"] = Field(
        20,
        description="number of sizes k in the table `ablation`, from 1 to all neurons, evenly spaced on a log axis; or"
        " `all`. Where the logits are linear in the neurons, the table `damage` also covers every k up to a"
        " quarter of the neurons",
    )
    random_draws: Few = Field(20, description="number of random orders for comparison")
    examples: Examples = Field(
        1024, description="number of examples per split, drawn once per replica; a smaller split is used whole"
    )
    checkpoints: Few | Literal["all"] = Field(
        "all", description="number of checkpoints, evenly chosen from the checkpoints with saliency; or `all`"
    )

    def as_option(self, attributions: Literal["registered", "all"]) -> str:
        """Return the settings as the JSON that stages take.

        Args:
            attributions: saliencies that rank the neurons. With all of them, only the areas of curves are kept.
        """
        lists = {key: getattr(self, key) for key in ("sites", "deletions", "rankings", "dead_units")}
        numbers = {"k_points": self.k_points, "random_draws": self.random_draws, "examples": self.examples}
        option = {
            "settings": {**lists, **numbers, "areas_only": attributions == "all"},
            "splits": self.splits,
            "checkpoints": 0 if self.checkpoints == "all" else self.checkpoints,
            "attributions": attributions,
        }
        return json.dumps(option, sort_keys=True)

    def curves(self, combinations: int) -> int:
        """Return the number of curves of one layer on one split.

        Args:
            combinations: number of saliencies that rank the neurons; norms rank them once.
        """
        norms = sum(name.endswith("_norm") for name in self.rankings)
        # Two more orders: the registered ranking from its other end, and neurons with matched activation norms.
        orders = combinations * (len(self.rankings) - norms) + norms + 2 + self.random_draws
        return len(self.sites) * len(self.deletions) * len(self.dead_units) * orders


class SpecificationSettings(AttributionSettings):
    """Other ways to measure what the claims read, for their specification curves: all combinations of all choices.

    They are measured only at the checkpoints that the claims read: at t_m and in the late window. The numbers of
    examples and of random draws are those of `ablation`.
    """

    methods: Choices[Method] = Field(
        ["activation_gradient", "integrated_gradients", "integrated_gradients_from_mean", "ablation_effect"],
        min_length=1,
        description="as for saliency",
    )
    targets: Choices[TargetName] = Field(
        ["right_minus_mean", "right_logit", "margin", "log_probability"], min_length=1, description="as for saliency"
    )
    normalisations: Choices[Normalisation] = Field(
        ["raw", "matched", "per_example"], min_length=1, description="as for saliency"
    )
    sites: Choices[Site] = Field(["mlp", "head_outputs"], min_length=1, description="as for saliency")
    damage_sites: Choices[Site] = Field(
        ["mlp"], min_length=1, description="sites out of `sites` at which neurons are deleted"
    )
    statistics: Choices[Literal["mean_magnitude", "median_magnitude", "q95_magnitude", "median", "breadth"]] = Field(
        ["mean_magnitude", "median_magnitude", "q95_magnitude", "median"],
        min_length=1,
        description="statistics that rank the neurons; histograms always cover every statistic",
    )
    splits: Choices[Literal["train", "validation"]] = Field(
        ["train", "validation"],
        min_length=1,
        description="splits whose examples the network answers without the neurons; histograms always cover both",
    )
    dead_units: Choices[Literal["included", "excluded"]] = Field(
        ["included", "excluded"],
        min_length=1,
        description="as for ablation; histograms always come with and without dead units",
    )
    deletions: Choices[Literal["zero", "mean", "resample"]] = Field(
        ["zero", "mean", "resample"], min_length=1, description="as for ablation"
    )


class ProgressSettings(Settings):
    """Progress measures: the general part of a network's answers, and the forces that change it.

    docs/progress.md explains them.
    """

    checkpoints: Few | Literal["all"] = Field(20, description="number of checkpoints, evenly chosen; or `all`")
    examples: int = Field(
        8,
        ge=0,
        le=MOST_EXAMPLES,
        description="number of training examples whose own gradients are measured; 0 measures none",
    )
    examples_checkpoints: Few = Field(
        6, description="number of checkpoints at which gradients of single examples are measured, evenly chosen"
    )


class OnsetSettings(Settings):
    """Additional checkpoints around each replica's onset, for progress and updates. A replay with equal bytes makes
    them.
    """

    before: Count = Field(400, description="number of steps before the onset from which these checkpoints begin")
    after: Count = Field(400, description="number of steps after the onset at which these checkpoints end")
    every: Count = Field(100, description="number of steps between two of these checkpoints")

    @property
    def steps(self) -> int:
        """Largest number of these checkpoints of one replica."""
        return (self.before + self.after) // self.every + 1


class UpdateSettings(Settings):
    """Tracked updates: how general each neuron is, how far examples agree on it, and how updates change it.

    docs/progress.md explains them.
    """

    checkpoints: Few | Literal["all"] = Field(20, description="number of checkpoints, evenly chosen; or `all`")


class AnswerSettings(Settings):
    """Recorded answers: the answer to every example, and the examples that gradients come from.

    They are recorded for conditions whose claims read them.
    """

    checkpoints: Few | Literal["all"] = Field(30, description="number of checkpoints, evenly chosen; or `all`")


class SpikeSettings(Settings):
    """Spikes of the training loss: both losses at every step, from a replay, and the effects of spikes.

    They are watched in conditions whose claims read them.
    """

    threshold: Number = Field(
        2.0,
        gt=1,
        le=1e6,
        description="smallest ratio of a spike: training loss divided by its median over the 50 steps before",
    )
    most: int = Field(
        5,
        ge=1,
        le=1000,
        description="largest number of spikes on the plateau that are measured in each replica, evenly chosen. Quiet"
        " windows and kicks are measured beside them. The claim needs three",
    )


class MeasurementSettings(Settings):
    """Measurements at checkpoints, each with its settings."""

    saliency: SaliencySettings = SaliencySettings()
    ablation: AblationSettings = AblationSettings()
    specifications: SpecificationSettings | None = Field(
        None, description="measurements for the specification curves; without this key there are none"
    )
    progress: ProgressSettings | None = Field(None, description="progress measures; without this key there are none")
    onset: OnsetSettings = OnsetSettings()
    updates: UpdateSettings | None = Field(None, description="tracked updates; without this key there are none")
    answers: AnswerSettings | None = Field(None, description="recorded answers; without this key there are none")
    spikes: SpikeSettings | None = Field(
        None, description="spikes of the training loss; without this key there are none"
    )

    @property
    def progress_and_updates(self) -> tuple[ProgressSettings, OnsetSettings, UpdateSettings]:
        """Settings of progress, onset and updates; defaults for parts that the study leaves out."""
        return self.progress or ProgressSettings(), self.onset, self.updates or UpdateSettings()

    @property
    def answers_and_spikes(self) -> tuple[AnswerSettings, SpikeSettings]:
        """Settings of answers and spikes; defaults for parts that the study leaves out."""
        return self.answers or AnswerSettings(), self.spikes or SpikeSettings()

    @property
    def specification(self) -> SpecificationSettings:
        """Settings of specification curves; defaults if the study leaves them out."""
        return self.specifications or SpecificationSettings()

    @property
    def specification_ablation(self) -> AblationSettings:
        """Settings of deletion for specification curves, with the examples and random draws of `ablation`."""
        curves = self.specification
        chosen = {name: getattr(curves, name) for name in ("splits", "dead_units", "deletions")}
        chosen |= {"sites": curves.damage_sites, "rankings": curves.statistics, "checkpoints": "all"}
        return self.ablation.model_copy(update=chosen)
