"""Update rules, which turn gradients into new weights. One idea per file.

A gradient passes through these steps, in this order:

1. Gaussian noise (`gradient_noise`) is added: `gradients.py`.
2. Grokfast (`grokfast_lambda`) adds λ times the gradient's running mean: `gradients.py`.
3. Weight decay acts on the weights that `decay_on` names: `decay.py`. Coupled decay adds weight_decay × weight to the
   gradient; decoupled decay shrinks the weight itself.
4. The update rule takes a step: `adam.py`, `adamw.py`, `sgd.py`, `line_search.py` or `lbfgs.py`.

`updater.py` puts them together. The table `metrics` has the norm of the gradient before step 1. The rules `line_search`
and `lbfgs` need the exact gradient of the function that they search. A config therefore allows them coupled decay only.
"""

HISTORY = 10
"""Changes of weights and gradients that L-BFGS remembers; 3 to 20 are usual (Nocedal and Wright 2006, section 7.2)."""
