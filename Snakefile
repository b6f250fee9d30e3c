# The front door. With a Snakefile here, Snakemake does not look for workflow/Snakefile by itself, and a default target
# inside an include is discarded: hence the include, and a rule of its own.
include: "workflow/Snakefile"


rule all:
    default_target: True
    input:
        rules.finish_study.input,
