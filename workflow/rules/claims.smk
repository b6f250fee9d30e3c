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
        settings=json.dumps(FLAT),
        code=fingerprint("stages.list_conditions"),
    message:
        "Listing the study's conditions"
    shell:
        "python -m general_circuits.stages.list_conditions --settings <(echo {params.settings:q}) --output {output}"
        " > {log} 2>&1"


rule judge_claim:
    input:
        claim_tables,
    output:
        "<results>/claims/{claim}.parquet",
    log:
        "<results>/logs/judge_claim/{claim}.log",
    wildcard_constraints:
        claim="|".join(MEASURED),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        results=results_folder,
        reads=lambda wildcards: ",".join(claim_reads(wildcards)),
        lacks=claim_lacks,
        axes=lambda wildcards: axes_option(claim_reads(wildcards), claim_axes(wildcards)),
        code=lambda wildcards: reader_code("stages.judge_claim", f"claims.{wildcards.claim}", claim_reads(wildcards)),
    message:
        "Judging the claim {wildcards.claim}"
    shell:
        "python -m general_circuits.stages.judge_claim --claim {wildcards.claim} --results {params.results}"
        " --reads={params.reads} --lacks={params.lacks:q} --axes <(echo {params.axes:q}) --output {output} > {log} 2>&1"


rule merge_verdicts:
    input:
        expand("<results>/claims/{claim}.parquet", claim=MEASURED),
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
        claims=",".join(MEASURED),
        code=fingerprint("stages.merge_verdicts"),
    message:
        "Merging the verdicts"
    shell:
        "python -m general_circuits.stages.merge_verdicts --results {params.results} --claims {params.claims}"
        " --output {output} > {log} 2>&1"


# A claim by its name, `snakemake claim_learning_rate`: what it needs, and no more.
for name in MEASURED:

    rule:
        name:
            f"claim_{name}"
        input:
            f"<results>/claims/{name}.parquet",
            claim_drawings(name),
