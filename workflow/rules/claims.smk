rule list_conditions:
    output:
        "<results>/conditions.parquet",
    log:
        "<results>/logs/list_conditions.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=500,
    params:
        settings=JOBS.conditions_option,
        code=fingerprint("stages.list_conditions"),
    message:
        "Listing the study's conditions"
    shell:
        "python -m general_circuits.stages.list_conditions --settings <(echo {params.settings:q}) --output {output}"
        " > {log} 2>&1"


rule judge_claim:
    input:
        lambda wildcards: JOBS.claim_tables(wildcards.claim),
    output:
        "<results>/claims/{claim}.parquet",
    log:
        "<results>/logs/judge_claim/{claim}.log",
    wildcard_constraints:
        claim="|".join(JOBS.measured_claims),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        results=results_folder,
        reads=lambda wildcards: ",".join(JOBS.claim_reads(wildcards.claim)),
        lacks=lambda wildcards: JOBS.lacks(wildcards.claim),
        elsewhere=lambda wildcards: JOBS.elsewhere(wildcards.claim),
        axes=lambda wildcards: JOBS.axes_option(JOBS.claim_reads(wildcards.claim), JOBS.claim_axes(wildcards.claim)),
        code=lambda wildcards: JOBS.reader_code(
            "judge_claim", f"claims.{wildcards.claim}", JOBS.claim_reads(wildcards.claim)
        ),
    message:
        "Judging the claim {wildcards.claim}"
    shell:
        "python -m general_circuits.stages.judge_claim --claim {wildcards.claim} --results {params.results}"
        " --reads={params.reads} --lacks={params.lacks:q} --elsewhere {params.elsewhere:q}"
        " --axes <(echo {params.axes:q}) --output {output} > {log} 2>&1"


rule merge_verdicts:
    input:
        expand("<results>/claims/{claim}.parquet", claim=JOBS.measured_claims),
    output:
        "<results>/claims/verdicts.parquet",
    log:
        "<results>/logs/merge_verdicts.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=500,
    params:
        results=results_folder,
        claims=",".join(JOBS.measured_claims),
        code=fingerprint("stages.merge_verdicts"),
    message:
        "Merging the verdicts"
    shell:
        "python -m general_circuits.stages.merge_verdicts --results {params.results} --claims {params.claims}"
        " --output {output} > {log} 2>&1"


# `snakemake claim_learning_rate` judges one claim. It runs only the jobs that this claim needs.
for name in JOBS.measured_claims:

    rule:
        name:
            f"claim_{name}"
        input:
            f"<results>/claims/{name}.parquet",
            JOBS.claim_drawings(name),
