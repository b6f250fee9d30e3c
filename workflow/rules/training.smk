rule train_block:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        parent=lambda wildcards: JOBS.parent_files(wildcards.condition),
        partner=lambda wildcards: JOBS.ends_with(wildcards.condition),
    output:
        metrics="<results>/runs/{condition}/{block}/metrics.parquet",
        weights=JOBS.weights("train_block") if STUDY.keep.weights else temp(JOBS.weights("train_block")),
    log:
        "<results>/logs/train_block/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/train_block/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("train_block"),
        # Not a parameter: the number of kept states changes no result, so it must not cause reruns.
        keep_states=STUDY.keep.states,
    params:
        settings=lambda wildcards: JOBS.settings_option(wildcards.condition),
        device=STUDY.device,
        code=lambda wildcards: JOBS.training_code(wildcards.condition),
        states=JOBS.states,
        branch=lambda wildcards, input: JOBS.branch_options(wildcards.condition, wildcards.block, input.parent),
        partner=first_or_none("partner"),
    message:
        "Training {wildcards.condition}, block {wildcards.block}; progress in {log}"
    shell:
        "python -m general_circuits.stages.train_block --split {input.split}"
        " --condition {wildcards.condition} --settings {params.settings:q} --device {params.device}"
        " --code {params.code} --states {params.states} --keep-states {resources.keep_states}"
        " {params.branch} --partner={params.partner} --metrics {output.metrics} > {log} 2>&1"


rule replay_block:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        finished="<results>/runs/{condition}/{block}/metrics.parquet",
    output:
        metrics="<results>/replays/{condition}/{block}/{replay}/metrics.parquet",
        weights=JOBS.weights("replay_block"),
    log:
        "<results>/logs/replay_block/{condition}/{block}/{replay}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("replay_block"),
    params:
        settings=lambda wildcards: JOBS.settings_option(wildcards.condition),
        device=STUDY.device,
        training_code=lambda wildcards: JOBS.training_code(wildcards.condition),
        code=lambda wildcards: JOBS.retraining_code("replay_block", wildcards.condition),
        states=JOBS.states,
        options=lambda wildcards: JOBS.replay_options(wildcards.condition, wildcards.replay),
    message:
        "Replaying {wildcards.condition}, block {wildcards.block}, {wildcards.replay}"
    shell:
        "python -m general_circuits.stages.replay_block --split {input.split}"
        " --condition {wildcards.condition} --settings {params.settings:q} --device {params.device}"
        " --finished {input.finished} --training-code {params.training_code} --states {params.states}"
        " {params.options} --metrics {output.metrics} > {log} 2>&1"


rule find_events:
    input:
        metrics="<results>/runs/{condition}/{block}/metrics.parquet",
        parent=lambda wildcards: JOBS.parent_files(wildcards.condition)[:1],
    output:
        "<results>/runs/{condition}/{block}/events.parquet",
    log:
        "<results>/logs/find_events/{condition}/{block}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mb(500),
    params:
        code=fingerprint("stages.find_events"),
    message:
        "Finding events in {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.find_events --metrics {input.metrics} --condition {wildcards.condition}"
        " --parent '{input.parent}' --output {output} > {log} 2>&1"


# Weights at the steps that claims read. Nothing between two checkpoints is interpolated.
rule replay_moments:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        events="<results>/runs/{condition}/{block}/events.parquet",
        partner=lambda wildcards: JOBS.partner_events(wildcards.condition),
        trained=JOBS.weights("train_block"),
    output:
        moments="<results>/moments/{condition}/{block}.parquet",
        weights=JOBS.weights("replay_moments") if STUDY.keep.weights else temp(JOBS.weights("replay_moments")),
    log:
        "<results>/logs/replay_moments/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/replay_moments/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("replay_moments"),
    params:
        settings=lambda wildcards: JOBS.settings_option(wildcards.condition),
        device=STUDY.device,
        training_code=lambda wildcards: JOBS.training_code(wildcards.condition),
        code=lambda wildcards: JOBS.retraining_code("replay_moments", wildcards.condition),
        states=JOBS.states,
        around=JOBS.moments_options,
    message:
        "Replaying {wildcards.condition}, block {wildcards.block}, to the moments that claims read"
    shell:
        "python -m general_circuits.stages.replay_moments --split {input.split}"
        " --condition {wildcards.condition} --settings {params.settings:q} --device {params.device}"
        " --training-code {params.training_code} --states {params.states} --events {input.events}"
        " --partner {input.partner} {params.around} --output {output.moments} > {log} 2>&1"
