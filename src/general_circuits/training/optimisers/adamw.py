"""AdamW (Loshchilov and Hutter 2019), which is Adam with decoupled weight decay.

A config's `decay` says whether decay is coupled or decoupled, so one class serves both names.
"""

from general_circuits.training.optimisers.adam import Adam

RULE = Adam
