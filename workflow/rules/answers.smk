# Answers to single examples, for the conditions whose claims read them.
rule record_answers:
    input:
        split="<results>/runs/{condition}/{block}/split.parquet",
        weights=JOBS.weights("train_block"),
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
        mem_mb=mb("record_answers"),
    params:
        settings=lambda wildcards: JOBS.settings_option(wildcards.condition),
        how=options(steps=or_all(ANSWERS.checkpoints), device=STUDY.device),
        code=fingerprint("stages.record_answers"),
    message:
        "Recording the answers of {wildcards.condition}, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.record_answers --split {input.split}"
        " --condition {wildcards.condition} --settings {params.settings:q} {params.how} --output {output.answers}"
        " > {log} 2>&1"
