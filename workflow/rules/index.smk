# One file stands for all blocks' files of a table, before what reads the whole study. Without it, every figure would
# be an edge of the DAG for every block.
rule index_table:
    input:
        lambda wildcards: JOBS.files_of([wildcards.table], JOBS.axes),
    output:
        "<results>/index/{table}.sha256",
    log:
        "<results>/logs/index_table/{table}.log",
    wildcard_constraints:
        table="|".join(JOBS.tables_of_blocks),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=500,
    params:
        results=results_folder,
        axes=lambda wildcards: JOBS.axes_option([wildcards.table], JOBS.axes),
        # Lists files by a table's path, whatever its columns are.
        code=fingerprint("stages.index_table"),
    message:
        "Listing the study's files of the table {wildcards.table}"
    shell:
        "python -m general_circuits.stages.index_table --table {wildcards.table} --results {params.results}"
        " --axes <(echo {params.axes:q}) --output {output} > {log} 2>&1"
