"""How weights change. One idea per file; what happens to a gradient, in this order:

1. `gradients.py`: Gaussian noise (`gradient_noise`) is added;
2. `gradients.py`: Grokfast (`grokfast_lambda`) adds its running mean;
3. coupled decay adds weight_decay × weight, decoupled decay shrinks the weight itself, both only of the weights that
   `decay_on` names (`decay.py`);
4. the update rule makes a step of it: `rules.py` (Adam and SGD), `line_search.py`, `lbfgs.py`.

`updater.py` is the whole. The gradient's norm in `metrics` is taken before all that. The two rules that search along a
line take the gradient of what they search, so nothing is added to it but coupled decay; a config says so.
"""

HISTORY = 10
"""Changes of weights and gradients that L-BFGS remembers; 3 to 20 are usual (Nocedal and Wright 2006, section 7.2)."""
