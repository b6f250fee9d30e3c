"""How far each attribution is to be trusted."""

from general_circuits.storage.tables import ATTRIBUTION, INTEGER, NEURONS, NUMBER, Table

TABLE = Table(
    "attribution",
    "saliency/{condition}/{block}-attribution.parquet",
    row="replica, step, split, layer, site, method, target and normalisation",
    key={**NEURONS, **ATTRIBUTION},
    columns={
        "examples": INTEGER,
        "logit_scale": NUMBER,
        "completeness_error": NUMBER,
        "integration_steps": INTEGER,
        "standard_error": NUMBER,
        "saturated": NUMBER,
        "closed_form_gap": NUMBER,
    },
    meanings={
        "examples": "of the split, those that the method saw",
        "logit_scale": (
            "root mean square over training examples and classes of a logit minus its example's mean logit: what logits"
            " are divided by to be matched; the same for every row of a step"
        ),
        "completeness_error": (
            "mean difference between the summed saliencies of an example and by how much the target differs from that"
            " at the method's baseline, over the mean size of the latter; 0 is complete. Promised by integrated"
            " gradients and shapley everywhere, by conductance in perceptrons, by the others where the target is linear"
            " in the neurons"
        ),
        "integration_steps": "of integrated gradients, doubled until complete or the most allowed, and of conductance",
        "standard_error": (
            "root mean square over examples and neurons of the saliency's standard error, where it was estimated from"
            " random permutations, in the unit of the saliency; else 0"
        ),
        "saturated": (
            "share of the examples whose label has a probability above 0.99, so that log_probability hardly depends on"
            " the logits; missing for other targets"
        ),
        "closed_form_gap": (
            "in front of a final layer norm, of methods that would be in closed form without it: mean difference to"
            " that form with the norm's scale frozen, over the mean size of the saliency; missing elsewhere"
        ),
    },
    measurement="saliency",
)
