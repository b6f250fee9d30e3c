"""When something happened in a run, by the definitions of the claims."""

from general_circuits.storage.tables import CATEGORY, FLAG, INTEGER, REPLICA, Table

TABLE = Table(
    "events",
    "runs/{condition}/{block}/events.parquet",
    row="replica and event",
    key={**REPLICA, "event": CATEGORY},
    columns={"step": INTEGER, "censored": FLAG},
    meanings={
        "event": (
            "memorised: the first of three evaluations in a row with training accuracy ≥ 0.99; onset and generalised:"
            " from then on, validation accuracy has first made 5 % and 99 % of its way to 1 from its mean over those"
            " three; validation_loss_peak: the largest validation loss, if a smaller one follows; of a branch"
            " also branched: where it left its parent, whose history and events it has until then"
        ),
        "step": "at which it happened, of those evaluated; if it never did, the last one before any divergence",
        "censored": "whether it never happened, as far as the run was trained and had not diverged",
    },
)
