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
        family=task_family,
        code=lambda wildcards: fingerprint("stages.generate_task", task_family(wildcards)),
    message:
        "Generating the examples of {wildcards.task}"
    shell:
        "python -m general_circuits.stages.generate_task"
        " --task {params.task:q} --family {params.family} --output {output} > {log} 2>&1"
