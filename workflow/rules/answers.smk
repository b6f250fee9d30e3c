# What becomes of single examples and of single steps, of the conditions whose claims read it.
rule record_answers:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
    output:
        answers="<results>/answers/{condition}/{block}.parquet",
        deciles="<results>/answers/{condition}/{block}-deciles.parquet",
    log:
        "<results>/logs/record_answers/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/record_answers/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=answers_mb,
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        how=options(steps=how_many(ANSWERS.checkpoints), device=STUDY.device),
        code=fingerprint("stages.record_answers"),
    message:
        "Recording the answers of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.record_answers --split {input.split}"
        " --condition {wildcards.condition} --settings {params.settings:q} {params.how} --output {output.answers}"
        " > {log} 2>&1"


rule watch_spikes:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        events="<results>/runs/{condition}/{block}/events.parquet",
    output:
        spikes="<results>/spikes/{condition}/{block}.parquet",
        losses="<results>/spikes/{condition}/{block}-losses.parquet",
        weights=SPIKE_WEIGHTS if STUDY.keep.weights else temp(SPIKE_WEIGHTS),
    log:
        "<results>/logs/watch_spikes/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/watch_spikes/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=spikes_mb,
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        how=options(threshold=SPIKES.threshold, most=SPIKES.most, device=STUDY.device),
        training_code=TRAINING_CODE,
        code=fingerprint("stages.watch_spikes"),
        states=STATES,
    message:
        "Watching for spikes in {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.watch_spikes --split {input.split} --events {input.events}"
        " --condition {wildcards.condition} --settings {params.settings:q} {params.how}"
        " --training-code {params.training_code} --states {params.states} --output {output.spikes} > {log} 2>&1"


rule measure_spikes:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
        spikes="<results>/spikes/{condition}/{block}.parquet",
        around=SPIKE_WEIGHTS,
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
        mem_mb=progress_mb,
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        around=lambda wildcards, input: Path(input.around[0]).parent,
        device=STUDY.device,
        code=fingerprint("stages.measure_spikes"),
    message:
        "Measuring around the spikes of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.measure_spikes --split {input.split} --spikes {input.spikes}"
        " --weights {params.around} --condition {wildcards.condition} --settings {params.settings:q}"
        " --device {params.device} --output {output} > {log} 2>&1"
