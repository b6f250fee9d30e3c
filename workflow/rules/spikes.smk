# Steps around spikes, for the conditions whose claims read them: replayed first, then measured.
rule watch_spikes:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        events="<results>/runs/{condition}/{block}/events.parquet",
    output:
        spikes="<results>/spikes/{condition}/{block}.parquet",
        losses="<results>/spikes/{condition}/{block}-losses.parquet",
        weights=JOBS.weights("watch_spikes") if STUDY.keep.weights else temp(JOBS.weights("watch_spikes")),
    log:
        "<results>/logs/watch_spikes/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/watch_spikes/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("watch_spikes"),
    params:
        settings=lambda wildcards: JOBS.settings_option(wildcards.condition),
        how=options(threshold=SPIKES.threshold, most=SPIKES.most, device=STUDY.device),
        training_code=lambda wildcards: JOBS.training_code(wildcards.condition),
        code=lambda wildcards: JOBS.retraining_code("watch_spikes", wildcards.condition),
        states=JOBS.states,
    message:
        "Watching for spikes in {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.watch_spikes --split {input.split} --events {input.events}"
        " --condition {wildcards.condition} --settings {params.settings:q} {params.how}"
        " --training-code {params.training_code} --states {params.states} --output {output.spikes} > {log} 2>&1"


rule measure_spikes:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
        spikes="<results>/spikes/{condition}/{block}.parquet",
        around=JOBS.weights("watch_spikes"),
    output:
        "<results>/spikes/{condition}/{block}-effects.parquet",
    log:
        "<results>/logs/measure_spikes/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/measure_spikes/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("measure_spikes"),
    params:
        settings=lambda wildcards: JOBS.settings_option(wildcards.condition),
        around=lambda wildcards, input: Path(input.around[0]).parent,
        device=STUDY.device,
        code=fingerprint("stages.measure_spikes"),
    message:
        "Measuring the effects of spikes in {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.measure_spikes --split {input.split} --spikes {input.spikes}"
        " --weights {params.around} --condition {wildcards.condition} --settings {params.settings:q}"
        " --device {params.device} --output {output} > {log} 2>&1"
