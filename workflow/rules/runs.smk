rule split_examples:
    input:
        task=task_of,
    output:
        "<results>/runs/{condition}/{block}/split.parquet",
    log:
        "<results>/logs/split_examples/{condition}/{block}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=500,
    params:
        split=lambda wildcards: to_json(CONDITIONS[wildcards.condition].split),
        replicas=replica_range,
        code=fingerprint("stages.split_examples"),
    message:
        "Splitting the examples of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.split_examples --task {input.task} --split {params.split:q}"
        " --condition {wildcards.condition} {params.replicas} --output {output} > {log} 2>&1"


rule train_block:
    input:
        task=task_of,
        split="<results>/runs/{condition}/{block}/split.parquet",
    output:
        metrics="<results>/runs/{condition}/{block}/metrics.parquet",
        weights=WEIGHTS,
    log:
        "<results>/logs/train_block/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/train_block/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        device=STUDY.device,
        code=fingerprint("stages.train_block"),
    message:
        "Training {wildcards.condition}, block {wildcards.block}; progress in {log}"
    shell:
        "python -m general_circuits.stages.train_block --task {input.task} --split {input.split}"
        " --condition {wildcards.condition} --settings {params.settings:q} --device {params.device}"
        " --metrics {output.metrics} > {log} 2>&1"


rule find_events:
    input:
        "<results>/runs/{condition}/{block}/metrics.parquet",
    output:
        "<results>/runs/{condition}/{block}/events.parquet",
    log:
        "<results>/logs/find_events/{condition}/{block}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=500,
    params:
        code=fingerprint("stages.find_events"),
    message:
        "Finding events in {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.find_events --metrics {input} --output {output} > {log} 2>&1"
