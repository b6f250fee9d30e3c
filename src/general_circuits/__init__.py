"""general-circuits: does gradient descent prefer general circuits? The experiments, as a pipeline.

A study flows through the rooms of this package in this order:

    config → tasks → training → measurements, duels → analysis → claims → figures → report

`config` reads what a user wrote. `tasks` generate every example, and `training` trains `models` on them. `measurements`
look at each checkpoint; `duels` let planted circuits compete. `analysis` turns tables into numbers per replica.
`claims` judge them, `figures` draw them, the `report` shows both. Rooms meet in files, which `storage` has written.
`stages` run one room each, as one rule of the workflow. `pipeline` turns a config into the DAG of all jobs, and
`running` starts, stops and guards it. `documentation` is what is generated from all of this.
"""

from importlib.metadata import version

__version__ = version("general-circuits")
