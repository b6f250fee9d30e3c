rule extract_saliency:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
    output:
        "<results>/saliency/{condition}/{block}.parquet",
    log:
        "<results>/logs/extract_saliency/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/extract_saliency/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=saliency_mb,
    params:
        how=options(
            methods=",".join(SALIENCY.methods),
            integration_steps=SALIENCY.integration_steps,
            steps=how_many(SALIENCY.checkpoints),
            device=STUDY.device,
        ),
        code=fingerprint("stages.extract_saliency"),
    message:
        "Extracting saliency of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.extract_saliency --split {input.split}"
        " --condition {wildcards.condition} {params.how} --output {output} > {log} 2>&1"


rule describe_saliency:
    input:
        "<results>/saliency/{condition}/{block}.parquet",
    output:
        "<results>/distribution/{condition}/{block}.parquet",
    log:
        "<results>/logs/describe_saliency/{condition}/{block}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=short_mb,
    params:
        code=fingerprint("stages.describe_saliency"),
    message:
        "Describing the saliency histograms of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.describe_saliency --saliency {input} --output {output} > {log} 2>&1"
