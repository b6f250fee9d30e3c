MEASURED = [name for name, claim in CLAIMS.items() if claim.is_measured]


def claim_conditions(wildcards):
    """The study's conditions that a claim is judged from: those it needs, and its controls."""
    claim = CLAIMS[wildcards.claim]
    return [name for name in claim.needs + claim.beside if name in CONDITIONS]


def claim_tables(wildcards):
    """The tables that a claim reads; none where a condition it needs is missing."""
    claim, present = CLAIMS[wildcards.claim], claim_conditions(wildcards)
    if not set(claim.needs) <= set(present):
        return []
    return study_tables(claim.tables, present)


rule judge_claim:
    input:
        claim_tables,
    output:
        "<results>/claims/{claim}.parquet",
    params:
        results=RESULTS,
        reads=lambda wildcards: ",".join(CLAIMS[wildcards.claim].tables),
        needs=lambda wildcards: ",".join(CLAIMS[wildcards.claim].needs),
        conditions=lambda wildcards: ",".join(claim_conditions(wildcards)),
        blocks=STUDY.blocks,
        code=lambda wildcards: fingerprint("stages.judge_claim", f"claims.{wildcards.claim}"),
    wildcard_constraints:
        claim="|".join(MEASURED),
    resources:
        mem_mb=2000,
    log:
        "<results>/logs/judge_claim/{claim}.log",
    conda:
        "../../environment.yml"
    message:
        "Judging the claim {wildcards.claim}"
    shell:
        "python -m general_circuits.stages.judge_claim --claim {wildcards.claim} --results {params.results}"
        " --reads {params.reads} --needs {params.needs:q} --conditions {params.conditions:q}"
        " --blocks {params.blocks} --output {output} > {log} 2>&1"


rule merge_verdicts:
    input:
        expand("<results>/claims/{claim}.parquet", claim=MEASURED),
    output:
        table="<results>/claims/verdicts.parquet",
        csv=report(
            "<results>/claims/verdicts.csv",
            caption="../report/verdicts.rst",
            category="Verdicts",
            labels={"table": "a verdict per claim"},
        ),
    params:
        results=RESULTS,
        claims=",".join(MEASURED),
        code=fingerprint("stages.merge_verdicts"),
    resources:
        mem_mb=500,
    log:
        "<results>/logs/merge_verdicts.log",
    conda:
        "../../environment.yml"
    message:
        "Merging the verdicts"
    shell:
        "python -m general_circuits.stages.merge_verdicts --results {params.results} --claims {params.claims}"
        " --output {output.table} --csv {output.csv} > {log} 2>&1"
