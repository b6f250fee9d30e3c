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
    )


def test_no_duel_is_fought_twice() -> None:
    assert len(set(EVERY)) == len(EVERY)


def test_duels_differ_from_the_registered_one_in_one_thing_apart_from_parts_and_decays() -> None:
    changed = [
        {name for name in PlantedDuel._fields if getattr(duel, name) != getattr(EVERY[0], name)}
        for duel in EVERY[1:]
        if duel.duel_kind == "duel"
    ]
    together = {"parts", "general_decay", "shallow_decay"}
    assert all(len(names) == 1 or names <= together for names in changed)
    assert set.union(*changed) == set(PlantedDuel._fields) - {"duel_kind", "optimiser"}


def test_every_null_control_is_fought_between_single_modules_with_and_without_decay() -> None:
    controls = [duel for duel in EVERY if duel.duel_kind != "duel"]
    assert {duel.parts for duel in controls} == {1}
    assert {(duel.duel_kind, duel.general_decay) for duel in controls} == {
        (kind, decay) for kind in CONTROLS for decay in (0.0, 1e-3)
    }
    assert all(duel.general_decay == duel.shallow_decay for duel in controls)
