# Changes that updates make to a network's neurons.
rule track_updates:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
        moments=lambda wildcards: JOBS.moments(wildcards.condition),
    output:
        "<results>/updates/{condition}/{block}.parquet",
    log:
        "<results>/logs/track_updates/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/track_updates/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("track_updates"),
    params:
        settings=lambda wildcards: JOBS.settings_option(wildcards.condition),
        moments=first_or_none("moments"),
        how=options(steps=or_all(UPDATES.checkpoints), device=STUDY.device),
        code=fingerprint("stages.track_updates"),
    message:
        "Tracking the updates of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.track_updates --split {input.split} --moments={params.moments}"
        " --condition {wildcards.condition} --settings {params.settings:q} {params.how} --output {output} > {log} 2>&1"
