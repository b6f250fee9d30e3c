# The share of the general solution in a network's answers, and the forces that change it.
rule measure_progress:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
        moments=lambda wildcards: JOBS.moments(wildcards.condition),
    output:
        progress="<results>/progress/{condition}/{block}.parquet",
        others=expand(
            "<results>/progress/{{condition}}/{{block}}-{name}.parquet",
            name=["structure", "matrices", "spectrum", "reinforcement"],
        ),
    log:
        "<results>/logs/measure_progress/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/measure_progress/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("measure_progress"),
    params:
        settings=lambda wildcards: JOBS.settings_option(wildcards.condition),
        moments=first_or_none("moments"),
        # What a branch leaves must not choose how its effect is measured.
        general_at=lambda wildcards: "first" if wildcards.condition in JOBS.branches else "last",
        how=options(
            steps=or_all(PROGRESS.checkpoints),
            examples=PROGRESS.examples,
            examples_steps=PROGRESS.examples_checkpoints,
            device=STUDY.device,
        ),
        code=fingerprint("stages.measure_progress"),
    message:
        "Measuring the progress of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.measure_progress --split {input.split} --moments={params.moments}"
        " --condition {wildcards.condition} --settings {params.settings:q} {params.how}"
        " --general-at {params.general_at} --output {output.progress}"
        " > {log} 2>&1"
