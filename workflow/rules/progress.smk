# Ordinary training runs, looked into: what of a network is the general solution, and what updates do to its neurons.
use rule replay_block as replay_onset with:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        finished="<results>/runs/{condition}/{block}/metrics.parquet",
        events="<results>/runs/{condition}/{block}/events.parquet",
    output:
        metrics="<results>/onset/{condition}/{block}/metrics.parquet",
        weights=ONSET_WEIGHTS if STUDY.keep.weights else temp(ONSET_WEIGHTS),
    log:
        "<results>/logs/replay_onset/{condition}/{block}.log",
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        device=STUDY.device,
        training_code=TRAINING_CODE,
        code=fingerprint("stages.replay_block"),
        states=STATES,
        options=onset_options,
    message:
        "Replaying the onset of {wildcards.condition}, block {wildcards.block}"


rule measure_progress:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
        onset=onset_weights,
    output:
        progress="<results>/progress/{condition}/{block}.parquet",
        others=expand(
            "<results>/progress/{{condition}}/{{block}}-{name}.parquet",
            name=["structure", "matrices", "spectrum", "reinforcement"],
        ),
    log:
        "<results>/logs/measure_progress/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/measure_progress/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=progress_mb,
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        onset=lambda wildcards, input: Path(input.onset[0]).parent if input.onset else "''",
        how=options(
            steps=how_many(PROGRESS.checkpoints),
            examples=PROGRESS.examples,
            examples_steps=PROGRESS.examples_checkpoints,
            device=STUDY.device,
        ),
        code=fingerprint("stages.measure_progress"),
    message:
        "Measuring the progress of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.measure_progress --split {input.split} --onset {params.onset}"
        " --condition {wildcards.condition} --settings {params.settings:q} {params.how} --output {output.progress}"
        " > {log} 2>&1"


rule track_updates:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=WEIGHTS,
        onset=onset_weights,
    output:
        "<results>/updates/{condition}/{block}.parquet",
    log:
        "<results>/logs/track_updates/{condition}/{block}.log",
    benchmark:
        "<results>/benchmarks/track_updates/{condition}/{block}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=updates_mb,
    params:
        settings=lambda wildcards: to_json(CONDITIONS[wildcards.condition]),
        onset=lambda wildcards, input: Path(input.onset[0]).parent if input.onset else "''",
        how=options(steps=how_many(UPDATES.checkpoints), device=STUDY.device),
        code=fingerprint("stages.track_updates"),
    message:
        "Tracking the updates of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.track_updates --split {input.split} --onset {params.onset}"
        " --condition {wildcards.condition} --settings {params.settings:q} {params.how} --output {output} > {log} 2>&1"
