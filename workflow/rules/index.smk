# An index stands for the files that all blocks have of a table. Figures, pages and claims depend on the index. Without
# it, the DAG would have an edge from every block to every figure.
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
        # The job only lists paths. A table's columns do not matter, so its schema is no part of the fingerprint.
        code=fingerprint("stages.index_table"),
    message:
        "Listing the study's files of the table {wildcards.table}"
    shell:
        "python -m general_circuits.stages.index_table --table {wildcards.table} --results {params.results}"
        " --axes <(echo {params.axes:q}) --output {output} > {log} 2>&1"
