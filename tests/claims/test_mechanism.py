"""Verdicts on what decay and noise take from margins, in tables whose losses and displacements are known."""

from __future__ import annotations

import pandas as pd
import pytest
from variant_tables import DECAY, MOVED, NEVER, progress, structure, study
from verdict_tables import by_contrast

from general_circuits.claims import mechanism
from general_circuits.claims.findings import BETWEEN, CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding

NAMES = {"decay": "decaying", "gaussian noise": "noisy", "minibatch noise": "of_batches", "weak decay": "weak"}
"""Branch of each kind of movement."""
WEAK = {"weak": {**MOVED["decaying"], DECAY: 0.1}}
"""Branch with a tenth of grokking's decay."""


def tables(
    losses: dict[str, tuple[float, float]], displacements: dict[str, float] | None = None
) -> dict[str, pd.DataFrame]:
    """Build a study in which each kind of movement takes a share of the general and of the shallow part."""
    variants = {**WEAK, **MOVED}
    plain = study(variants, dict.fromkeys(["grokking", *variants], lambda replica: NEVER))
    moved = dict.fromkeys(losses, 9.0) | (displacements or {})
    return {
        **plain,
        "progress": pd.concat([progress(*shares, NAMES[kind]) for kind, shares in losses.items()]),
        "structure": pd.concat([structure(size, NAMES[kind]) for kind, size in moved.items()]),
    }


def judged(of: list[Finding], name: str) -> Finding:
    return by_contrast(of)[name]


@pytest.mark.parametrize(
    ("general", "shallow", "verdict", "words"),
    [
        (0.1, 0.3, SUPPORTED, "shallow circuits lose more"),
        (0.3, 0.1, CONTRADICTED, "general circuits lose more"),
        (0.2, 0.22, BETWEEN, "hardly more"),
        (0.2, 0.2, UNDECIDED, "no difference is shown"),
    ],
)
def test_decay_is_judged_by_the_difference_of_the_shares(
    general: float, shallow: float, verdict: str, words: str
) -> None:
    """Over five replicas both shares are 4 % larger in the mean."""
    finding = judged(mechanism.of_decay(tables({"decay": (general, shallow)})), "registered, mechanism")
    assert finding.estimate.mean == pytest.approx(1.04 * (shallow - general), abs=1e-12)
    assert finding.verdict == verdict
    assert words in finding.sentence
    assert finding.sentence.startswith("Under decay alone, the shallow part of training margins loses")
    assert "Over all 5 replicas." in finding.sentence


def test_each_kind_of_noise_is_judged_by_its_own_branch() -> None:
    losses = {"decay": (0.2, 0.2), "minibatch noise": (0.1, 0.3), "gaussian noise": (0.3, 0.1)}
    found = by_contrast(mechanism.of_noise(tables(losses)))
    assert found["registered, mechanism, minibatch noise"].verdict == SUPPORTED
    assert found["registered, mechanism, gaussian noise"].verdict == CONTRADICTED
    assert found["shallow minus general share lost, decaying"].estimate.mean == pytest.approx(0.0, abs=1e-12)
    assert [name for name, finding in found.items() if finding.verdict] == [
        "registered, mechanism, minibatch noise",
        "registered, mechanism, gaussian noise",
    ]


def test_shares_displacements_and_the_former_frequencies_stand_beside() -> None:
    """The weights of norm 50 moved by 9. With the former frequencies, the shallow part is 8 logits, not 6."""
    found = by_contrast(mechanism.of_decay(tables({"decay": (0.1, 0.3), "gaussian noise": (0.3, 0.1)})))
    means = {name: finding.estimate.mean for name, finding in found.items() if not finding.verdict}
    assert means == pytest.approx(
        {
            "share of the shallow part lost, decay": 0.312,
            "share of the general part lost, decay": 0.104,
            "accuracy after decay": 0.9,
            "displacement over the norm of the weights, decay": 0.18,
            "with key frequencies from after the branch, decay": 1.04 * (0.25 - 0.1),
            "shallow minus general share lost, noisy": -0.208,
        }
    )


@pytest.mark.parametrize(
    ("displacement", "is_matched"), [(9.0, True), (9.8, True), (8.2, True), (10.0, False), (1.8, False)]
)
def test_noise_that_goes_another_distance_than_decay_cannot_be_compared(displacement: float, is_matched: bool) -> None:
    losses = {"decay": (0.2, 0.2), "gaussian noise": (0.1, 0.3)}
    found = mechanism.of_noise(tables(losses, {"gaussian noise": displacement}))
    finding = judged(found, "registered, mechanism, gaussian noise")
    assert finding.verdict == (SUPPORTED if is_matched else NOT_TESTABLE)
    if not is_matched:
        ratio = f"{displacement / 9:.2f}"
        assert f"over that by decay is {ratio} to {ratio}, and should be within 0.9 to 1.1" in finding.reason


@pytest.mark.parametrize(("n_small", "verdict"), [(1, SUPPORTED), (2, NOT_TESTABLE)])
def test_at_most_a_fifth_of_the_replicas_may_lack_a_part(n_small: int, verdict: str) -> None:
    of = tables({"decay": (0.1, 0.3)})
    frame = of["progress"]
    is_small = (frame["component"] == "unseen") & (frame["replica"] < n_small)
    of["progress"] = frame.assign(part_of_margin=frame["part_of_margin"].where(~is_small, 0.1))
    finding = judged(mechanism.of_decay(of), "registered, mechanism")
    assert finding.verdict == verdict
    if verdict == NOT_TESTABLE:
        words = "the general part of margins was at least 0.5 logits when the branch began in 3 of 5 replicas"
        assert finding.reason == f"{words}; four fifths must"
    else:
        assert finding.sentence.endswith("undefined).")
        assert len(finding.values) == 5


def test_replicas_without_an_onset_count_among_all() -> None:
    """Three of five replicas have a branch, so too few have parts of the margin there."""
    of = tables({"decay": (0.1, 0.3)})
    of["progress"] = of["progress"][of["progress"]["replica"] < 3]
    finding = judged(mechanism.of_decay(of), "registered, mechanism")
    assert "in 3 of 5 replicas" in finding.reason


def test_without_a_measured_branch_nothing_can_be_tested() -> None:
    of = tables({"gaussian noise": (0.1, 0.3)})
    (decay, *beside) = mechanism.of_decay(of)
    assert decay.reason == "the study has no measured branch at onset with decay alone"
    assert [finding.contrast for finding in beside] == ["shallow minus general share lost, noisy"]
    found = by_contrast(mechanism.of_noise(of))
    assert "minibatch noise alone" in found["registered, mechanism, minibatch noise"].reason
    assert "no measured branch with decay alone" in found["registered, mechanism, gaussian noise"].reason
    bare = {name: table for name, table in of.items() if name not in ("progress", "structure")}
    assert [finding.verdict for finding in mechanism.of_noise(bare)] == [NOT_TESTABLE] * 2


def test_noise_is_matched_to_the_decay_that_goes_most_nearly_as_far() -> None:
    """Grokking's own decay goes 9 far, a weak one 1. Its own verdict stays that of grokking's decay."""
    losses = {
        "weak decay": (0.0, 0.0),
        "decay": (0.2, 0.2),
        "minibatch noise": (0.1, 0.3),
        "gaussian noise": (0.3, 0.1),
    }
    of = tables(losses, {"weak decay": 1.0, "minibatch noise": 1.05})
    found = by_contrast(mechanism.of_noise(of))
    assert found["registered, mechanism, minibatch noise"].verdict == SUPPORTED
    assert found["registered, mechanism, gaussian noise"].verdict == CONTRADICTED
    assert {"shallow minus general share lost, weak", "shallow minus general share lost, decaying"} <= set(found)
    assert judged(mechanism.of_decay(of), "registered, mechanism").estimate.mean == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.5, SUPPORTED), (0.49, NOT_TESTABLE)])
def test_a_network_that_answers_hardly_anything_is_not_judged(accuracy: float, verdict: str) -> None:
    of = tables({"decay": (0.1, 0.3)})
    of["progress"] = progress(0.1, 0.3, accuracy=accuracy)
    finding = judged(mechanism.of_decay(of), "registered, mechanism")
    assert finding.verdict == verdict
    if verdict == NOT_TESTABLE:
        assert finding.reason.startswith("training accuracy was at least 0.5 when the branch ended in 0 of 5 replicas")
