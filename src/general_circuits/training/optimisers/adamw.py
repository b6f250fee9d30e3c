"""AdamW (Loshchilov and Hutter 2019): Adam, where a config's weight decay is decoupled."""

from general_circuits.training.optimisers.adam import Adam

RULE = Adam
