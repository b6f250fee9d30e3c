rule generate_task:
    output:
        "<results>/tasks/{task}.parquet",
    log:
        "<results>/logs/generate_task/{task}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=500,
    params:
        task=lambda wildcards: to_json(JOBS.tasks[wildcards.task]),
        code=lambda wildcards: JOBS.task_code(wildcards.task),
    message:
        "Generating the examples of {wildcards.task}"
    shell:
        "python -m general_circuits.stages.generate_task --task {params.task:q} --output {output} > {log} 2>&1"


rule split_examples:
    input:
        task=lambda wildcards: JOBS.task_table(wildcards.condition),
    output:
        "<results>/runs/{condition}/{block}/split.parquet",
    log:
        "<results>/logs/split_examples/{condition}/{block}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mb(500),
    params:
        split=lambda wildcards: JOBS.split_option(wildcards.condition),
        how=options(first_seed=STUDY.first_seed, replicas=STUDY.block),
        code=fingerprint("stages.split_examples"),
    message:
        "Splitting the examples of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.split_examples --task {input.task} --split {params.split:q}"
        " --condition {wildcards.condition} --block {wildcards.block} {params.how} --output {output} > {log} 2>&1"
