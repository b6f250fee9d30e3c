"""One checkpoint's tables on networks built by hand, and single examples that are drawn once per replica."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from progress_builders import MODULUS, both_networks, examples_by_answer, general_network, sums, table_network

from general_circuits.measurements.progress import forces
from general_circuits.measurements.progress.components import ExamplesByAnswer, General
from general_circuits.measurements.progress.measure import FOLLOWED, Progress, measure, single_examples, weights
from general_circuits.models.network import Network
from general_circuits.training.noise import decayed_share


def measured(model: Network, examples: ExamplesByAnswer) -> Progress:
    general = General.of(examples, forces.answer(model, examples.tokens))
    return measure(model, examples, general, torch.float64)


def components(progress: Progress, column: str, split: str) -> pd.Series:
    rows = progress.progress
    return rows[rows["split"] == split].set_index("component")[column]


@pytest.fixture(scope="module")
def general() -> Progress:
    return measured(general_network(frequencies=2), examples_by_answer())


@pytest.fixture(scope="module")
def table() -> Progress:
    splits = sums()
    return measured(table_network(splits), examples_by_answer(splits))


def test_a_general_circuit_answers_by_its_general_part_alone(general: Progress) -> None:
    for split in ("train", "validation"):
        accuracy = components(general, "accuracy", split)
        assert accuracy[["all", "restricted", "unseen", "answer", "trig"]].tolist() == [1.0] * 5
    # The rest is small, but not 0: few ReLU units make products of waves only roughly.
    part = components(general, "part_of_margin", "train")
    assert abs(part["excluded"]) < 0.06 * part["all"]


def test_a_table_answers_training_examples_and_shows_nothing_on_unseen_ones(table: Progress) -> None:
    assert components(table, "accuracy", "train")["all"] == 1
    assert components(table, "accuracy", "validation")["all"] < 0.2
    for split in ("train", "validation"):
        assert components(table, "loss", split)["unseen"] == pytest.approx(np.log(MODULUS))


def test_parts_of_the_margin_and_of_the_gradient_add_up(general: Progress, table: Progress) -> None:
    for progress in (general, table):
        for split in ("train", "validation"):
            part = components(progress, "part_of_margin", split)
            assert part["restricted"] + part["excluded"] == pytest.approx(part["all"])
            assert part["all"] == pytest.approx(components(progress, "margin", split)["all"])
        share = components(progress, "gradient_share", "train")
        assert share["restricted"] + share["excluded"] == pytest.approx(share["all"]) == pytest.approx(1)


def test_only_training_rows_of_components_with_gradients_have_them(general: Progress) -> None:
    rows = general.progress
    has_gradient = (rows["split"] == "train") & rows["component"].isin(["all", "restricted", "excluded", "unseen"])
    for column in ("gradient_norm", "gradient_share", "loss_gradient_norm"):
        assert (rows[column].notna() == has_gradient).all()


def test_decay_takes_6_shares_of_a_general_circuits_margin(general: Progress) -> None:
    effect = components(general, "decay_effect", "train")
    assert effect[["all", "restricted"]].tolist() == pytest.approx([-6, -6], rel=0.01)


def test_the_spectrum_of_a_general_circuit_is_its_frequencies(general: Progress) -> None:
    spectrum = general.spectrum
    assert spectrum["frequency"].tolist() == [1, 2, 3, 4, 5, 6]
    assert spectrum["dimensions"].tolist() == [2] * 6
    assert spectrum["is_key"].tolist() == [True, False, False, False, False, True]
    assert spectrum.loc[spectrum["is_key"], "energy"].sum() > 0.99 * spectrum["energy"].sum()


def test_energies_add_up_to_the_mean_square_of_all_that_depends_on_the_answer(general: Progress) -> None:
    rows = general.progress[general.progress["component"] == "answer"].set_index("split")
    n = {name: len(places) for name, places in examples_by_answer().rows.items()}
    mean_square = sum(rows.loc[name, "scale"] ** 2 * n[name] for name in n) / MODULUS**2
    # That part also has the constant function of the answer, which the spectrum leaves out and which is tiny here.
    assert general.spectrum["energy"].sum() == pytest.approx(mean_square, rel=1e-5)


def test_the_structure_of_a_general_circuit_and_of_a_table(general: Progress, table: Progress) -> None:
    circuit, other = general.structure.iloc[0], table.structure.iloc[0]
    assert (circuit["key_frequencies"], other["key_frequencies"]) == (2, 6)
    assert (circuit["tuned_share"], other["tuned_share"]) == (1, 0)
    assert circuit["symmetry_violation"] == pytest.approx(0, abs=1e-9)
    assert circuit["inverse_participation_of_embedding"] == pytest.approx(1 / 2)
    assert circuit["gini_of_embedding"] == pytest.approx(1 - 2 / 6)  # two of six frequencies share everything


def test_every_weight_has_its_norm_and_matrices_their_rank(general: Progress) -> None:
    matrices, weights = general.matrices.set_index("weight"), dict(general_network(frequencies=2).named_parameters())
    assert list(matrices.index) == list(weights)
    squares = sum(float(weight.detach().square().sum()) for weight in weights.values())
    assert np.square(matrices["norm"]).sum() == pytest.approx(squares)
    assert general.structure["weight_norm"].item() == pytest.approx(np.sqrt(squares))
    # Two frequencies have a cosine and a sine of each symbol: four dimensions.
    assert matrices.loc["embed.W_E", "effective_rank"] <= 4 + 1e-9


def test_without_a_group_there_is_no_spectrum_and_no_number_of_frequencies() -> None:
    examples = ExamplesByAnswer.of(sums(), None, MODULUS)
    progress = measured(general_network(), examples)
    assert progress.spectrum.empty
    assert list(progress.spectrum.columns) == ["frequency", "dimensions", "energy", "is_key"]
    assert progress.structure[["key_frequencies", "gini_of_logits", "tuned_share"]].isna().all(axis=None)
    assert "trig" not in set(progress.progress["component"])


def test_single_examples_are_drawn_once_per_replica_from_those_that_train() -> None:
    examples = examples_by_answer()

    def followed(network: Network, seed: int) -> pd.DataFrame:
        general = General.of(examples, forces.answer(network, examples.tokens))
        return single_examples(network, examples, general, torch.float64, n=5, seed=seed)

    rows, later, other = (
        followed(general_network(), 3),
        followed(general_network(frequencies=3), 3),
        followed(general_network(), 4),
    )
    assert list(rows.columns) == [*FOLLOWED, "example"]
    assert rows["example"].tolist() == later["example"].tolist() == sorted(set(rows["example"]))
    assert len(rows) == 5
    assert set(rows["example"]) <= set(examples.numbers[examples.rows["train"]].tolist())
    assert rows["example"].tolist() != other["example"].tolist()


def parts_of(model: Network, examples: ExamplesByAnswer, general: General) -> tuple[float, float]:
    """Return the general and the shallow part of the mean training margin."""
    part = components(measure(model, examples, general, torch.float64), "part_of_margin", "train")
    return part["unseen"], part["all"] - part["unseen"]


def shrunk(model: Network, share: float) -> Network:
    """Return the network after decay took this share of all its weights."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1 - share)
    return model


def test_decay_shrinks_both_parts_of_known_circuits_by_known_factors() -> None:
    """Weights shrink by 1 − c in 50 steps of decay 1 at rate 0.004.

    The general circuit is a product of six weights, so it shrinks to c⁶ of itself. A neuron of the table fires with
    2c⁴ − c²: both operands come by four weights, the flag that is subtracted by two. Two more weights write the answer,
    with a logit of 10.
    """
    share = decayed_share([4e-3] * 50, decay=1.0)
    c, splits = 1 - share, sums()
    examples = examples_by_answer(splits)
    general = General.of(examples, forces.answer(both_networks(splits), examples.tokens))
    before, after = (
        parts_of(net, examples, general) for net in (both_networks(splits), shrunk(both_networks(splits), share))
    )
    # Wrong answers tie in the general circuit, and rounding chooses the largest: hence the tolerance.
    assert after[0] / before[0] == pytest.approx(c**6, rel=1e-3)
    # The general circuit's answers to training examples differ a little from its answers to unseen ones. This rest
    # counts as shallow, and shrinks like the circuit.
    rest = parts_of(general_network(), examples, general)[1]
    assert before[1] - rest == pytest.approx(10, rel=1e-3)
    assert after[1] - c**6 * rest == pytest.approx(10 * c**2 * (2 * c**4 - c**2), rel=1e-3)
    assert 1 - after[1] / before[1] > 1 - after[0] / before[0] + 0.05, "in these circuits, the claim holds"


def test_displacement_is_the_norm_of_the_change_since_the_first_checkpoint() -> None:
    first, examples = general_network(), examples_by_answer()
    general, start = General.of(examples, forces.answer(first, examples.tokens)), weights(first)
    row = measure(shrunk(first, 0.25), examples, general, torch.float64, start).structure.iloc[0]
    assert row["displacement"] == pytest.approx(0.25 * float(start.norm()), rel=1e-12)
    assert row["weight_norm"] == pytest.approx(0.75 * float(start.norm()), rel=1e-12)


def test_frequencies_from_after_show_less_of_what_was_lost() -> None:
    """The second network has lost a frequency, whose part of the first network's margin is then not seen."""
    first, last, examples = general_network(frequencies=2), general_network(frequencies=1), examples_by_answer()
    at_first, at_last = (General.of(examples, forces.answer(model, examples.tokens)) for model in (first, last))
    assert (at_first.frequencies, at_last.frequencies) == ([1, 6], [1])
    of_first = measure(first, examples, at_first, torch.float64, after=at_last)
    part = components(of_first, "part_of_margin", "train")
    assert 0 < part["unseen_after"] < 0.8 * part["unseen"]
    without = measure(first, examples, at_first, torch.float64)
    assert "unseen_after" not in set(without.progress["component"])
