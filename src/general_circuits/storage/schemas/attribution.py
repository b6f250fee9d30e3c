"""Checks of each attribution: completeness, standard error and saturation."""

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
        "examples": "number of the split's examples that the method used",
        "logit_scale": (
            "root mean square, over training examples and classes, of a logit minus its example's mean logit. Matched"
            " saliency divides logits by it; the same for every row of a step"
        ),
        "completeness_error": (
            "mean |Σ saliency − explained| over mean |explained|, where explained is the target minus the target at the"
            " method's baseline; 0 is complete. Integrated gradients and shapley promise 0 everywhere, conductance in"
            " perceptrons, and the other methods where the target is linear in the neurons"
        ),
        "integration_steps": (
            "steps of integrated gradients, doubled until complete or at the most allowed; or steps of conductance"
        ),
        "standard_error": (
            "root mean square, over examples and neurons, of the standard error of saliency that random permutations"
            " estimate, in the unit of the saliency; 0 for methods without permutations"
        ),
        "saturated": (
            "share of the examples whose label has a probability above 0.99. There log_probability hardly depends on"
            " the logits; missing for other targets"
        ),
        "closed_form_gap": (
            "mean |saliency − closed form| over mean |saliency|, where the closed form freezes the scale of the final"
            " layer norm. Missing without such a norm, and for methods that have no closed form"
        ),
    },
    measurement="saliency",
    also=("specifications/saliency/{condition}/{block}-attribution.parquet",),
)
