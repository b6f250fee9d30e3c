"""Predictions of the memory and disk that a job needs, from its condition alone.

Each formula counts the largest arrays that are alive at once. Its factors were fitted from above to measured peaks:
resident size on Linux, torch 2.13, one thread, networks of 1 to 4 layers. A prediction is never below the measured
peak and at most twice as large.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from general_circuits.analysis.moments import MOMENTS
from general_circuits.config.measurements import AblationSettings, AttributionSettings
from general_circuits.config.study import Study
from general_circuits.duels.planted_grid import NUMBERS_PER_STACK
from general_circuits.duels.toy_grid import Grid, evaluation_steps, toys
from general_circuits.measurements.saliency import LOGITS_PER_PASS
from general_circuits.models.settings import EXAMPLES_PER_PASS, Model
from general_circuits.models.shapes import weight_shapes
from general_circuits.tasks.counts import counts
from general_circuits.tasks.vocabulary import Vocabulary
from general_circuits.training.optimisers import HISTORY
from general_circuits.training.reduced import EXAMPLES_PER_SLICE
from general_circuits.training.settings import Condition

MB = 10**6
FLOAT = 4
"""Bytes of a number in a network."""

TRAINING_BASE, SALIENCY_BASE, ABLATION_BASE = 380 * MB, 470 * MB, 420 * MB
"""Bytes of a job before any work: Python with torch, pandas and Arrow, and Captum for saliency."""
PROGRESS_BASE = 530 * MB
"""Bytes of `measure_progress` before any work, with the imports of forward differentiation."""
MODULES_BASE, TOY_ROW = 420 * MB, 750
"""Bytes of a job of duels before any work, and bytes per row of `toy`."""
ANSWER_ROW, LOSS_ROW = 150, 500
"""Bytes per row of `answers` and of `losses`. All rows of a job are in memory at once."""
ABLATION_ROW, SALIENCY_ROW, EXAMPLE_ROW = 260, 200, 170
"""Bytes per row of `ablation`, `saliency` and `example_saliency`.

The first two tables are written one checkpoint at a time, but the allocator keeps their memory. All rows of
`example_saliency` at one place are in memory at once.
"""
TORCH_COMPILER = 100 * MB
"""Bytes of the modules that torch's optimiser classes import. Only L-BFGS uses such a class."""

SNAKEMAKE_MB = 600
"""Memory, in MB, of the two Snakemakes that start a job on a cluster."""


@dataclass(frozen=True)
class Attributions:
    """Amount of attribution in one job of `extract_saliency`.

    Attributes:
        methods: names of the methods.
        examples: largest number of examples of each split for methods of many passes; or "all".
        targets: number of targets; a log-probability counts again where it is also attributed at matched scale.
        combinations: number of combinations of method, target and normalisation.
        sites: kinds of neurons.
        checkpoints: largest number of checkpoints of each replica; or "all".
        moments: largest number of moments of each replica, which are measured beside the checkpoints.
        replicas: number of replicas of the job.
    """

    methods: tuple[str, ...]
    examples: int | Literal["all"]
    targets: int
    combinations: int
    sites: tuple[str, ...]
    checkpoints: int | Literal["all"]
    moments: int
    replicas: int


@dataclass(frozen=True)
class Deletions:
    """Amount of deletion in one job of `ablate_neurons`.

    Attributes:
        examples: largest number of examples of each split.
        splits: number of splits.
        k_points: number of sizes k on a log axis, or "all".
        curves: number of curves of one layer on one split.
        checkpoints: largest number of checkpoints of each replica; or "all".
        moments: largest number of moments of each replica, which are measured beside the checkpoints.
        replicas: number of replicas of the job.
    """

    examples: int
    splits: int
    k_points: int | Literal["all"]
    curves: int
    checkpoints: int | Literal["all"]
    moments: int
    replicas: int


@dataclass(frozen=True)
class Size:
    """Sizes of one condition, from which costs are computed.

    Attributes:
        condition: the condition.
        vocabulary: inputs, symbols and classes of its task.
        n_training, n_validation: numbers of examples.
    """

    condition: Condition
    vocabulary: Vocabulary
    n_training: int
    n_validation: int

    @classmethod
    def of(cls, condition: Condition) -> Size:
        """Return the sizes of a condition's data and network."""
        own = counts(condition.task, condition.split)
        return cls(condition, own.vocabulary, own.n_training, own.n_validation)

    @property
    def batch(self) -> int:
        """Examples per step."""
        batch_size = self.condition.optimiser.batch_size
        return self.n_training if batch_size == "full" else int(batch_size)

    @property
    def n_examples(self) -> int:
        """Examples of both splits."""
        return self.n_training + self.n_validation

    @property
    def largest_split(self) -> int:
        """Examples of the larger split."""
        return max(self.n_training, self.n_validation)

    @property
    def parameters(self) -> int:
        """Number of weights in the network."""
        return parameters(self.condition.model, self.vocabulary)

    @property
    def checkpoints(self) -> int:
        """Number of checkpoints of a replica."""
        schedule = self.condition.schedule
        return len(schedule.checkpoints.steps(schedule.steps))

    @property
    def weights_bytes(self) -> int:
        """Bytes of one replica's file of checkpoints, without its header."""
        return self.checkpoints * self.parameters * FLOAT

    @property
    def state_bytes(self) -> int:
        """Bytes of one training state: the weights, and the optimiser's memory of each weight."""
        settings = self.condition.optimiser
        # Adam remembers two moments. L-BFGS remembers a direction, a gradient and two histories of such vectors.
        moments = {"sgd": int(settings.momentum > 0), "line_search": 0, "lbfgs": 2 + 2 * HISTORY}
        remembered = moments.get(settings.optimiser, 2) + int(settings.grokfast_lambda > 0)
        return (1 + remembered) * self.parameters * FLOAT

    def kept_bytes(self, weights: bool, states: int) -> int:
        """Return the bytes that a finished replica leaves on disk, without its tables.

        Args:
            weights: whether checkpoints are kept.
            states: largest number of training states that are kept.
        """
        made = -(-self.condition.schedule.steps // self.condition.schedule.state_every)
        return weights * self.weights_bytes + min(states, made) * self.state_bytes

    def training_mb(self, is_branch: bool = False, kept: int | None = None) -> int:
        """Return the peak memory of `train_block` and of replays, MB.

        Args:
            is_branch: whether the job also holds the branch's parent.
            kept: number of checkpoints that the job keeps of one replica; None means those of the schedule.
        """
        # An evaluation holds the logits of a whole split in double precision, and several arrays of their size.
        evaluation = 6 * self.largest_split * self.vocabulary.n_classes * 8
        compiler = TORCH_COMPILER if self.condition.optimiser.optimiser == "lbfgs" else 0
        running = FLOAT * (self._in_mlp() if self.condition.model.architecture == "mlp" else self._in_transformer())
        # Checkpoints are in memory once, and twice more while they are written together at the end.
        weights = 3 * FLOAT * self.parameters * (self.checkpoints if kept is None else kept)
        own = TRAINING_BASE + compiler + weights + 5 * self.state_bytes + running + evaluation
        return _mb(own + is_branch * (3 * self.state_bytes + running))

    def _in_mlp(self) -> int:
        """Return how many numbers an MLP holds between the inputs and the logits of examples computed at once."""
        model = self.condition.model
        per_example = 5 * (model.n_layers * model.d_mlp + model.input_width(self.vocabulary))
        return self._at_once * per_example

    def _in_transformer(self) -> int:
        """Return how many numbers a transformer holds between tokens and logits of examples computed at once."""
        model, p = self.condition.model, self.vocabulary.n_symbols
        if self.condition.optimiser.arithmetic == "plain":
            # A training step keeps every layer for its gradient; an evaluation keeps only the current one.
            return max(
                self._plain(self.batch, 2 * model.n_layers), self._plain(min(EXAMPLES_PER_PASS, self.largest_split), 1)
            )
        # Reduced arithmetic keeps one set of buffers for each number of examples that occurs: batches, slices, rests.
        examples = sum({min(n, EXAMPLES_PER_SLICE) for n in (self.batch, self.largest_split)})
        examples += sum(
            n % EXAMPLES_PER_SLICE for n in {self.batch, self.n_training, self.n_validation} if n > EXAMPLES_PER_SLICE
        )
        rows = (2 * model.n_layers - 1) * 2 * examples
        tables = 4 * p**2 * model.n_heads + 8 * p * model.n_heads * model.d_mlp
        return rows * self._per_row + tables

    def _plain(self, examples: int, layers: int) -> int:
        """Return how many numbers the plain transformer holds for these examples, with so many layers kept."""
        return examples * layers * (self._positions * self._per_row + self._patterns)

    @property
    def _per_row(self) -> int:
        """Numbers at one position of one example, in one layer."""
        return 3 * self.condition.model.d_mlp + 16 * self.condition.model.d_model

    @property
    def _positions(self) -> int:
        """Number of a transformer's positions: one per input, and one for "="."""
        return self.vocabulary.n_inputs + 1

    @property
    def _patterns(self) -> int:
        """Numbers of attention scores and patterns, of one example in one layer."""
        return 2 * self.condition.model.n_heads * self._positions**2

    @property
    def _at_once(self) -> int:
        """Examples that the plain network computes together."""
        return max(self.batch, min(EXAMPLES_PER_PASS, self.largest_split))

    def saliency_mb(self, asked: Attributions) -> int:
        """Return the peak memory of `extract_saliency`, MB.

        It holds the neurons of a whole split, every attribution of one layer, and the table.
        """
        model, n = self.condition.model, self.largest_split
        is_linear = model.n_layers == 1 and model.normalisation == "none" and asked.sites == ("mlp",)
        if model.architecture == "mlp":
            per_example = (6 + 5 * model.n_layers) * model.d_mlp + 2 * model.input_width(self.vocabulary)
        else:
            copies = 24 if is_linear else 40 if model.n_layers == 1 else 55
            per_example = copies * (model.d_mlp + model.d_model) * self._positions // 3 + 2 * self._patterns
        # The registered method covers all examples in one pass. Other methods keep their attributions beside it.
        others = [method for method in asked.methods if method != "activation_gradient"]
        gradients = sum(method.startswith("integrated_gradients") for method in others)
        some = n if asked.examples == "all" else min(n, asked.examples)
        together = max(n, EXAMPLES_PER_PASS) if others and not is_linear else n
        kept = (asked.targets - 1) * n + asked.targets * (n * gradients + 2 * some * (len(others) - gradients))
        logits = some * self.vocabulary.n_classes if "ablation_effect" in others else 0
        blocks = 5 * max(logits, min(LOGITS_PER_PASS, logits * model.d_mlp))
        numbers = together * per_example + 2 * kept * model.d_mlp + blocks
        checkpoints = self.checkpoints if asked.checkpoints == "all" else min(asked.checkpoints, self.checkpoints)
        rows = asked.replicas * (checkpoints + asked.moments) * 2 * asked.combinations * self.neurons(asked.sites)
        return _mb(SALIENCY_BASE + FLOAT * numbers + SALIENCY_ROW * rows + self.weights_bytes)

    def progress_mb(self) -> int:
        """Return the peak memory of `measure_progress`, MB.

        It holds the activations of a backward pass, the logits of all examples, and the grid of neurons over (a, b).
        """
        model, vocabulary = self.condition.model, self.vocabulary
        together, classes = min(EXAMPLES_PER_PASS, self.n_examples), vocabulary.n_classes
        if model.architecture == "mlp":
            width = 8 * model.n_layers * model.d_mlp + 4 * model.input_width(vocabulary)
        else:
            width = model.n_layers * (12 * model.d_mlp + self._positions * (24 * model.d_model + self._patterns))
        numbers = together * width + 60 * self.n_examples * classes + 8 * self.parameters
        grid = 8 * self.n_examples * model.d_mlp if vocabulary.n_inputs == 2 else 0
        return _mb(PROGRESS_BASE + FLOAT * (numbers + grid) + self.weights_bytes // 2)

    def updates_mb(self) -> int:
        """Return the peak memory of `track_updates`, MB.

        It holds the gradients of single examples in double precision, under two labelings.
        """
        model, together = self.condition.model, min(EXAMPLES_PER_PASS, self.n_training)
        if model.architecture == "mlp":
            width = (3 + 3 * model.n_layers) * model.d_mlp + model.input_width(self.vocabulary)
            positions = 1
        else:
            width = 4 * (model.d_mlp + model.d_model) + 8 * model.d_model
            positions = 1 if model.n_layers == 1 else self._positions
        numbers = together * (positions * width * 2 + 8 * self.vocabulary.n_classes)
        return _mb(MODULES_BASE + FLOAT * 11 * numbers // 4 + self.weights_bytes // 2)

    def answers_mb(self, checkpoints: int, replicas: int) -> int:
        """Return the peak memory of `record_answers`, MB.

        It holds the activations of a backward pass, and a row for each example at each checkpoint.

        Args:
            checkpoints: number of checkpoints; 0 means all.
            replicas: number of replicas of the job.
        """
        recorded = self.checkpoints if checkpoints == 0 else min(checkpoints, self.checkpoints)
        rows = replicas * recorded * self.n_examples
        numbers = self._with_gradients + 12 * self.largest_split * self.vocabulary.n_classes + 12 * self.parameters
        return _mb(TRAINING_BASE + FLOAT * numbers + ANSWER_ROW * rows + self.weights_bytes // 2)

    def spikes_mb(self, most: int, replicas: int) -> int:
        """Return the peak memory of `watch_spikes`, MB.

        It holds two replicas in training, weights around spikes, and a record of all steps.

        Args:
            most: largest number of spikes in each replica.
            replicas: number of replicas of the job.
        """
        numbers = 2 * 20 * most * replicas * self.parameters
        record = LOSS_ROW * self.condition.schedule.steps * replicas
        return self.training_mb(is_branch=True) + _mb(FLOAT * numbers + record)

    @property
    def _with_gradients(self) -> int:
        """Numbers that the plain network holds for the gradient of examples that pass through it together."""
        model, together = self.condition.model, min(EXAMPLES_PER_PASS, self.largest_split)
        if model.architecture == "mlp":
            return together * 5 * (model.n_layers * model.d_mlp + model.input_width(self.vocabulary))
        return self._plain(together, 2 * model.n_layers)

    def modules_mb(self, parts: int) -> int:
        """Return the peak memory of `train_modules` and `duel_modules`, MB.

        They hold all modules on all examples, and the activations for their gradients.

        Args:
            parts: largest number K of memorisers. Each has 1/√K of the neurons, so together they have √K times as many.
        """
        model, vocabulary = self.condition.model, self.vocabulary
        if model.architecture == "mlp":
            per_neuron = (2 + 2 * model.n_layers) * model.d_mlp
            per_module = 2 * model.input_width(vocabulary)
        else:
            per_neuron = 4 * model.n_layers * self._positions * model.d_mlp
            per_module = model.n_layers * (16 * self._positions * model.d_model + self._patterns)
        at_once = self.n_examples * (math.sqrt(parts) * per_neuron + parts * (per_module + 8 * vocabulary.n_classes))
        return _mb(MODULES_BASE + FLOAT * (2 * at_once + 12 * parts * self.parameters + 8 * NUMBERS_PER_STACK))

    def example_saliency_mb(self, asked: Attributions) -> int:
        """Return the peak memory of `extract_example_saliency`, MB: as `saliency_mb`, and rows of one attribution."""
        model = self.condition.model
        widest = max([model.d_model] * ("head_outputs" in asked.sites) + [model.d_mlp])
        return self.saliency_mb(asked) + _mb(EXAMPLE_ROW * self.largest_split * widest)

    def neurons(self, sites: Collection[str]) -> int:
        """Return the number of neurons at these sites, in all layers."""
        model = self.condition.model
        of_layer = {"mlp": model.d_mlp}
        if model.architecture != "mlp":
            of_layer |= {"head_outputs": model.d_model, "heads": model.n_heads}
        return model.n_layers * sum(of_layer.get(site, 0) for site in sites)

    def ablation_mb(self, deletions: Deletions) -> int:
        """Return the peak memory of `ablate_neurons`, MB.

        It holds the neurons and their writes to the residual stream, the answers to all examples, and the table.
        """
        model, vocabulary = self.condition.model, self.vocabulary
        n = min(deletions.examples, self.largest_split)
        width = model.input_width(vocabulary) if model.architecture == "mlp" else model.d_model
        positions = 3 if model.architecture == "mlp" else self._positions
        # Where the logits are linear in the neurons of one layer, a deletion does not run the network again.
        copies = 15 if model.n_layers == 1 and model.normalisation == "none" else 22
        # A unit's mean, its norm and its donors come from all training examples, not only from the n drawn ones.
        neurons = positions * (copies * n + 3 * self.n_training) * (model.d_mlp + width)
        kept = 1 + (model.d_mlp if deletions.k_points == "all" else min(model.d_mlp, int(deletions.k_points) + 1))
        answers = n * (4 * model.d_mlp + 4 * kept + 8 * vocabulary.n_classes)
        # With label noise, training examples are also scored in two parts: `train_corrupted` and `train_true`.
        splits = deletions.splits + 2 * (self.condition.split.label_noise > 0)
        checkpoints = deletions.checkpoints if deletions.checkpoints != "all" else self.checkpoints
        rows = deletions.replicas * (min(int(checkpoints), self.checkpoints) + deletions.moments) * model.n_layers
        rows *= deletions.curves * splits * kept
        return _mb(ABLATION_BASE + FLOAT * (neurons + answers) + ABLATION_ROW * rows + self.weights_bytes // 2)


def attributions(study: Study) -> Attributions:
    """Return the amount of attribution in one job of a study."""
    saliency = study.measurements.saliency
    return _attributions(saliency, saliency.checkpoints, study.block)


def attributions_all_ways(study: Study) -> Attributions:
    """Return the amount of attribution in one job for specification curves."""
    return _attributions(study.measurements.specification, "all", study.block)


def deletions(study: Study) -> Deletions:
    """Return the amount of deletion in one job of a study. The registered saliency alone ranks the neurons."""
    return _deletions(study.measurements.ablation, 1, study.block)


def deletions_all_ways(study: Study) -> Deletions:
    """Return the amount of deletion in one job for specification curves. Every saliency ranks the neurons."""
    measured = study.measurements
    return _deletions(measured.specification_ablation, measured.specification.combinations, study.block)


def _attributions(settings: AttributionSettings, checkpoints: int | Literal["all"], replicas: int) -> Attributions:
    """Return the amount of attribution in one job with these settings."""
    targets = list(settings.targets)
    # At matched scale, a homogeneous target is only divided by the scale. A log-probability is attributed again.
    if "matched" in settings.normalisations and "log_probability" in targets:
        targets.append("log_probability")
    return Attributions(
        tuple(settings.methods),
        settings.examples,
        len(targets),
        settings.combinations,
        tuple(settings.sites),
        checkpoints,
        len(MOMENTS),
        replicas,
    )


def _deletions(settings: AblationSettings, combinations: int, replicas: int) -> Deletions:
    """Return the amount of deletion in one job with these settings."""
    return Deletions(
        settings.examples,
        len(settings.splits),
        settings.k_points,
        settings.curves(combinations),
        settings.checkpoints,
        len(MOMENTS),
        replicas,
    )


def toy_mb(grid: Grid) -> int:
    """Return the peak memory of `duel_toys`, MB.

    It holds the toys of one update rule, and a row for each of their circuits at each evaluation.
    """
    trained = max(len(toys(grid, rule)) for rule in grid.rules)
    n = grid.pairs
    weights = 2 * n * (2 * n + max(grid.coverages) * 3 * n)
    rows = trained * len(evaluation_steps(grid)) * (1 + n)
    return _mb(MODULES_BASE + FLOAT * 20 * trained * weights // len(set(grid.coverages)) + TOY_ROW * rows)


def parameters(model: Model, vocabulary: Vocabulary) -> int:
    """Return the number of weights in a network, from the shapes that `models/` gives them."""
    return sum(math.prod(shape) for shape in weight_shapes(model, vocabulary).values())


def machine_mb() -> int:
    """Return the memory of this machine, or of the container that this process runs in, MB."""
    file = Path("/sys/fs/cgroup/memory.max")
    limit = file.read_text().strip() if file.is_file() else "max"
    total = psutil.virtual_memory().total
    return int(min(total, int(limit)) if limit.isdigit() else total) // MB


def _mb(size: float) -> int:
    """Return a number of bytes in MB, rounded up."""
    return -(-int(size) // MB)
