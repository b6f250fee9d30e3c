# The same measurements, asked in every other way, of the conditions and at the checkpoints that claims read.
use rule extract_saliency as specify_saliency with:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
        events="<results>/runs/grokking/{block}/events.parquet",
    output:
        saliency="<results>/specifications/saliency/{condition}/{block}.parquet",
        attribution="<results>/specifications/saliency/{condition}/{block}-attribution.parquet",
    log:
        "<results>/logs/specify_saliency/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/specify_saliency/{condition}/{block}.tsv"
    resources:
        mem_mb=specified_saliency_mb,
    params:
        asked=STUDY.measurements.every_way.asked(),
        how=options(steps=how_many(SALIENCY.checkpoints), device=STUDY.device),
        events=lambda wildcards, input: input.events,
        code=fingerprint("stages.extract_saliency"),
    message:
        "Extracting saliency in every way of {wildcards.condition}, block {wildcards.block}"


use rule describe_saliency as specify_distribution with:
    input:
        "<results>/specifications/saliency/{condition}/{block}.parquet",
    output:
        "<results>/specifications/distribution/{condition}/{block}.parquet",
    log:
        "<results>/logs/specify_distribution/{condition}/{block}.log",
    message:
        "Describing saliency in every way of {wildcards.condition}, block {wildcards.block}"


use rule ablate_neurons as specify_damage with:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
        saliency="<results>/specifications/saliency/{condition}/{block}.parquet",
    output:
        ablation="<results>/specifications/ablation/{condition}/{block}.parquet",
        damage="<results>/specifications/damage/{condition}/{block}.parquet",
    log:
        "<results>/logs/specify_damage/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/specify_damage/{condition}/{block}.tsv"
    resources:
        mem_mb=specified_damage_mb,
    params:
        how=deletion_options(STUDY.measurements.every_ablation, "all"),
        code=fingerprint("stages.ablate_neurons"),
    message:
        "Ablating neurons in every way of {wildcards.condition}, block {wildcards.block}"


rule specify_claim:
    input:
        specified_tables,
    output:
        "<results>/specifications/{claim}.parquet",
    log:
        "<results>/logs/specify_claim/{claim}.log",
    wildcard_constraints:
        claim="|".join(SPECIFIED),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        results=results_folder,
        reads=lambda wildcards: ",".join(specified(wildcards)),
        axes=lambda wildcards: axes_option(specified(wildcards), specified_axes(wildcards)),
        code=lambda wildcards: reader_code(
            "stages.specify_claim", f"claims.{wildcards.claim}", CLAIMS[wildcards.claim].specified
        ),
    message:
        "Judging the claim {wildcards.claim} in every way"
    shell:
        "python -m general_circuits.stages.specify_claim --claim {wildcards.claim} --results {params.results}"
        " --reads={params.reads} --axes <(echo {params.axes:q}) --output {output} > {log} 2>&1"
