rule ablate_neurons:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
        moments=lambda wildcards: JOBS.moments(wildcards.condition),
        saliency="<results>/saliency/{condition}/{block}.parquet",
    output:
        ablation="<results>/ablation/{condition}/{block}.parquet",
        damage="<results>/damage/{condition}/{block}.parquet",
    log:
        "<results>/logs/ablate_neurons/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/ablate_neurons/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("ablate_neurons"),
    params:
        moments=first_or_none("moments"),
        deletions=MEASUREMENTS.ablation.as_option("registered"),
        device=STUDY.device,
        code=fingerprint("stages.ablate_neurons"),
    message:
        "Ablating neurons of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.ablate_neurons --split {input.split} --saliency {input.saliency}"
        " --moments={params.moments} --condition {wildcards.condition} --deletions {params.deletions:q}"
        " --device {params.device} --ablation {output.ablation} --damage {output.damage} > {log} 2>&1"
