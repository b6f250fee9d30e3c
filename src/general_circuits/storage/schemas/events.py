"""Steps of the events in a run, by the definitions of the claims."""

from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, REPLICA, Table

TABLE = Table(
    "events",
    "runs/{condition}/{block}/events.parquet",
    row="replica and event",
    key={**REPLICA, "event": CATEGORY},
    columns={"after": INTEGER, "step": INTEGER, "censored": FLAG},
    meanings={
        "event": (
            "memorised (the first of three evaluations in a row with training accuracy ≥ 0.99); onset (the first"
            " evaluation from then on with validation accuracy 5 % of the way from its mean over those three to 1);"
            " generalised (the same for 99 %); validation_loss_peak (the largest validation loss, if a smaller one"
            " follows); branched (the step at which a branch left its parent, whose events it has until then)"
        ),
        "after": (
            "last evaluated step before it happened, so that it came after this one and not after step; −1 if it had"
            " happened at the first evaluation; equal to step if it never happened"
        ),
        "step": "evaluated step at which it happened; if it never did, the last one before any divergence",
        "censored": "whether it did not happen before the run ended or diverged",
    },
)
