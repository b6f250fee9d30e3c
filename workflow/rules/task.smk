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
        task=lambda wildcards: to_json(TASKS[wildcards.task]),
        code=lambda wildcards: fingerprint("stages.generate_task", task_family(wildcards)),
    message:
        "Generating the examples of {wildcards.task}"
    shell:
        "python -m general_circuits.stages.generate_task --task {params.task:q} --output {output} > {log} 2>&1"
