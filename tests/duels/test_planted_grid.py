"""Planted duels of a study: the registered one first, every other one change away from it or a null control."""

from __future__ import annotations

from duel_builders import small

from general_circuits.duels.planted_grid import CONTROLS, PlantedDuel, planted_duels

HOW, DUELS = small()
EVERY = planted_duels(HOW, DUELS, DUELS.rules[0])


def test_the_registered_duel_comes_first() -> None:
    assert EVERY[0] == PlantedDuel(
        duel_kind="duel",
        optimiser="sgd",
        parts=4,
        general_decay=0.0,
        shallow_decay=0.0,
        batch=8,
        initial_margin=4.0,
        initial_share=0.5,
        scaling="outside",
        label_noise=0.0,
        order="shuffled",
        steps=16,
    )


def test_no_duel_is_fought_twice() -> None:
    assert len({duel._replace(steps=0) for duel in EVERY}) == len(EVERY)


def test_duels_that_differ_in_parts_and_decay_of_both_sides_last_longer() -> None:
    """SGD's duels last two times as long here, until their shares settle."""
    long = {(duel.parts, duel.general_decay) for duel in EVERY if duel.steps == 16}
    assert long == {(1, 0.0), (1, 1e-3), (4, 0.0), (4, 1e-3)}
    assert sum(duel.steps == 16 for duel in EVERY) == 4
    assert {duel.steps for duel in EVERY} == {8, 16}


def test_an_update_rule_without_a_longer_end_has_the_steps_of_all_duels() -> None:
    assert {duel.steps for duel in planted_duels(HOW, DUELS, DUELS.rules[1])} == {8}


def test_every_scaling_has_a_duel_with_one_part_even_if_the_study_names_no_such_number() -> None:
    how, duels = small(parts=[4])
    every = planted_duels(how, duels, duels.rules[0])
    found = {
        (duel.parts, duel.scaling)
        for duel in every
        if duel.duel_kind == "duel" and duel.parts == 1 and duel.general_decay == duel.shallow_decay == 0
    }
    assert found == {(1, scaling) for scaling in duels.scalings}


def test_duels_differ_from_the_registered_one_in_one_thing_apart_from_parts_and_decays() -> None:
    changed = [
        {name for name in PlantedDuel._fields if getattr(duel, name) != getattr(EVERY[0], name)} - {"steps"}
        for duel in EVERY[1:]
        if duel.duel_kind == "duel"
    ]
    together = {"parts", "general_decay", "shallow_decay"}, {"parts", "scaling"}
    assert all(len(names) == 1 or any(names <= these for these in together) for names in changed)
    assert set.union(*changed) == set(PlantedDuel._fields) - {"duel_kind", "optimiser", "steps"}


def test_every_null_control_is_fought_between_single_modules_with_and_without_decay() -> None:
    controls = [duel for duel in EVERY if duel.duel_kind != "duel"]
    assert {duel.parts for duel in controls} == {1}
    assert {(duel.duel_kind, duel.general_decay) for duel in controls} == {
        (kind, decay) for kind in CONTROLS for decay in (0.0, 1e-3)
    }
    assert all(duel.general_decay == duel.shallow_decay for duel in controls)
