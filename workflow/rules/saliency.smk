rule extract_saliency:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
        moments=lambda wildcards: JOBS.moments(wildcards.condition),
    output:
        saliency="<results>/saliency/{condition}/{block}.parquet",
        attribution="<results>/saliency/{condition}/{block}-attribution.parquet",
    log:
        "<results>/logs/extract_saliency/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/extract_saliency/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("extract_saliency"),
    params:
        questions=SALIENCY.as_option(),
        how=options(steps=or_all(SALIENCY.checkpoints), device=STUDY.device),
        moments=first_or_none("moments"),
        reads="all",
        code=fingerprint("stages.extract_saliency"),
    message:
        "Extracting saliency of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.extract_saliency --split {input.split}"
        " --condition {wildcards.condition} --questions {params.questions:q} {params.how}"
        " --moments={params.moments} --reads {params.reads}"
        " --output {output.saliency} --attribution {output.attribution} > {log} 2>&1"


# Saliency of every example at one checkpoint. The files are large, so they are made only for requested checkpoints.
rule extract_example_saliency:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
    output:
        "<results>/example_saliency/{condition}/{block}/step={step}/saliency.parquet",
    log:
        "<results>/logs/extract_example_saliency/{condition}/{block}/{step}.log",
    wildcard_constraints:
        step=r"\d+",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("extract_example_saliency"),
    params:
        questions=SALIENCY.as_option(),
        device=STUDY.device,
        code=fingerprint("stages.extract_example_saliency"),
    message:
        "Extracting every example's saliency of {wildcards.condition}, block {wildcards.block}, step {wildcards.step}"
    shell:
        "python -m general_circuits.stages.extract_example_saliency --split {input.split}"
        " --condition {wildcards.condition} --step {wildcards.step} --questions {params.questions:q} --device {params.device}"
        " --output {output} > {log} 2>&1"


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
        mem_mb=mb(500),
    params:
        code=fingerprint("stages.describe_saliency"),
    message:
        "Describing the saliency histograms of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.describe_saliency --saliency {input} --output {output} > {log} 2>&1"
