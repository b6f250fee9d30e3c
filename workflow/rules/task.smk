TASKS = {registry.file_stem(condition.task): condition.task for condition in CONDITIONS.values()}


def task_of(wildcards):
    """The table of the task that a condition trains on."""
    return f"<results>/tasks/{registry.file_stem(CONDITIONS[wildcards.condition].task)}.parquet"


rule generate_task:
    output:
        "<results>/tasks/{task}.parquet",
    params:
        task=lambda wildcards: to_json(TASKS[wildcards.task]),
        family=lambda wildcards: registry.family_module(TASKS[wildcards.task].operation),
        code=lambda wildcards: fingerprint(
            "stages.generate_task", registry.family_module(TASKS[wildcards.task].operation)
        ),
    resources:
        mem_mb=500,
    log:
        "<results>/logs/generate_task/{task}.log",
    conda:
        "../../environment.yml"
    message:
        "Generating the examples of {wildcards.task}"
    shell:
        "python -m general_circuits.stages.generate_task"
        " --task {params.task:q} --family {params.family} --output {output} > {log} 2>&1"
