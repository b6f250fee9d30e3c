rule ablate_neurons:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
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
        mem_mb=ablation_mb,
    params:
        how=options(
            sites=",".join(ABLATION.sites),
            deletions=",".join(ABLATION.deletions),
            rankings=",".join(ABLATION.rankings),
            attributions="registered",
            dead_units=",".join(ABLATION.dead_units),
            splits=",".join(ABLATION.splits),
            k_points=how_many(ABLATION.k_points),
            random_draws=ABLATION.random_draws,
            examples=ABLATION.examples,
            steps=how_many(ABLATION.checkpoints),
            device=STUDY.device,
        ),
        code=fingerprint("stages.ablate_neurons"),
    message:
        "Ablating neurons of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.ablate_neurons --split {input.split} --saliency {input.saliency}"
        " --condition {wildcards.condition} {params.how} --ablation {output.ablation} --damage {output.damage} > {log} 2>&1"
