# The same measurements with all options of the specification curves. They cover the conditions and checkpoints that
# claims read.
use rule extract_saliency as extract_saliency_all_ways with:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
        moments=lambda wildcards: JOBS.moments(wildcards.condition),
    output:
        saliency="<results>/specifications/saliency/{condition}/{block}.parquet",
        attribution="<results>/specifications/saliency/{condition}/{block}-attribution.parquet",
    log:
        "<results>/logs/extract_saliency_all_ways/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/extract_saliency_all_ways/{condition}/{block}.tsv"
    resources:
        mem_mb=mb("extract_saliency_all_ways"),
    params:
        questions=MEASUREMENTS.specification.as_option(),
        how=options(steps=or_all(SALIENCY.checkpoints), device=STUDY.device),
        moments=first_or_none("moments"),
        reads="claims",
        code=fingerprint("stages.extract_saliency"),
    message:
        "Extracting saliency of {wildcards.condition}, block {wildcards.block}, with every option"


use rule describe_saliency as describe_saliency_all_ways with:
    input:
        "<results>/specifications/saliency/{condition}/{block}.parquet",
    output:
        "<results>/specifications/distribution/{condition}/{block}.parquet",
    log:
        "<results>/logs/describe_saliency_all_ways/{condition}/{block}.log",
    message:
        "Describing saliency of {wildcards.condition}, block {wildcards.block}, with every option"


use rule ablate_neurons as ablate_neurons_all_ways with:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
        moments=lambda wildcards: JOBS.moments(wildcards.condition),
        saliency="<results>/specifications/saliency/{condition}/{block}.parquet",
    output:
        ablation="<results>/specifications/ablation/{condition}/{block}.parquet",
        damage="<results>/specifications/damage/{condition}/{block}.parquet",
    log:
        "<results>/logs/ablate_neurons_all_ways/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/ablate_neurons_all_ways/{condition}/{block}.tsv"
    resources:
        mem_mb=mb("ablate_neurons_all_ways"),
    params:
        moments=first_or_none("moments"),
        deletions=MEASUREMENTS.specification_ablation.as_option("all"),
        device=STUDY.device,
        code=fingerprint("stages.ablate_neurons"),
    message:
        "Ablating neurons of {wildcards.condition}, block {wildcards.block}, with every option"


rule specify_claim:
    input:
        lambda wildcards: JOBS.specified_tables(wildcards.claim),
    output:
        "<results>/specifications/{claim}.parquet",
    log:
        "<results>/logs/specify_claim/{claim}.log",
    wildcard_constraints:
        claim="|".join(JOBS.specified_claims),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        results=results_folder,
        reads=lambda wildcards: ",".join(JOBS.specified(wildcards.claim)),
        axes=lambda wildcards: JOBS.axes_option(JOBS.specified(wildcards.claim), JOBS.specified_axes(wildcards.claim)),
        code=lambda wildcards: JOBS.reader_code(
            "specify_claim", f"claims.{wildcards.claim}", JOBS.specified(wildcards.claim)
        ),
    message:
        "Judging the claim {wildcards.claim} with every combination of options"
    shell:
        "python -m general_circuits.stages.specify_claim --claim {wildcards.claim} --results {params.results}"
        " --reads={params.reads} --axes <(echo {params.axes:q}) --output {output} > {log} 2>&1"
