rule ablate_neurons:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
        saliency="<results>/saliency/{condition}/{block}.parquet",
    output:
        "<results>/ablation/{condition}/{block}.parquet",
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
            method=REGISTERED_METHOD,
            deletions=",".join(ABLATION.deletions),
            splits=",".join(ABLATION.splits),
            k_points=ABLATION.k_points,
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
        " --condition {wildcards.condition} {params.how} --output {output} > {log} 2>&1"
