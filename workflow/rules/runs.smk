rule split_examples:
    input:
        task=task_of,
    output:
        "<results>/runs/{condition}/{block}/split.parquet",
    log:
        "<results>/logs/split_examples/{condition}/{block}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=short_mb,
    params:
        split=lambda wildcards: to_json(CONDITIONS[wildcards.condition].split),
        how=options(first_seed=STUDY.first_seed, replicas=STUDY.block),
        code=fingerprint("stages.split_examples"),
    message:
        "Splitting the examples of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.split_examples --task {input.task} --split {params.split:q}"
        " --condition {wildcards.condition} --block {wildcards.block} {params.how} --output {output} > {log} 2>&1"


rule train_block:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        parent=parent_files,
    output:
        metrics="<results>/runs/{condition}/{block}/metrics.parquet",
        weights=WEIGHTS if STUDY.keep.weights else temp(WEIGHTS),
    log:
        "<results>/logs/train_block/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/train_block/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=training_mb,
        # Not a parameter: how much is kept does not change what is computed.
        keep_states=STUDY.keep.states,
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        device=STUDY.device,
        code=TRAINING_CODE,
        states=STATES,
        branch=branch_options,
    message:
        "Training {wildcards.condition}, block {wildcards.block}; progress in {log}"
    shell:
        "python -m general_circuits.stages.train_block --split {input.split}"
        " --condition {wildcards.condition} --settings {params.settings:q} --device {params.device}"
        " --code {params.code} --states {params.states} --keep-states {resources.keep_states}"
        " {params.branch} --metrics {output.metrics} > {log} 2>&1"


rule replay_block:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        finished="<results>/runs/{condition}/{block}/metrics.parquet",
    output:
        metrics="<results>/replays/{condition}/{block}/{replay}/metrics.parquet",
        weights=REPLAYED_WEIGHTS,
    log:
        "<results>/logs/replay_block/{condition}/{block}/{replay}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=training_mb,
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        device=STUDY.device,
        training_code=TRAINING_CODE,
        code=fingerprint("stages.replay_block"),
        states=STATES,
        options=replay_options,
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
        parent=parent_metrics,
    output:
        "<results>/runs/{condition}/{block}/events.parquet",
    log:
        "<results>/logs/find_events/{condition}/{block}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=short_mb,
    params:
        code=fingerprint("stages.find_events"),
    message:
        "Finding events in {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.find_events --metrics {input.metrics} --condition {wildcards.condition}"
        " --parent '{input.parent}' --output {output} > {log} 2>&1"
