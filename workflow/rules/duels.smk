rule duel_toys:
    output:
        "<results>/duels/toy-{optimiser}.parquet",
    log:
        "<results>/logs/duel_toys/{optimiser}.log",
    wildcard_constraints:
        optimiser="[a-z]+",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("duel_toys"),
    params:
        grid=to_json(JOBS.toy_grid),
        code=fingerprint("stages.duel_toys"),
    message:
        "Training the toys with {wildcards.optimiser}"
    shell:
        "python -m general_circuits.stages.duel_toys --grid {params.grid:q} --optimiser {wildcards.optimiser}"
        " --output {output} > {log} 2>&1"


use rule split_examples as split_modules with:
    input:
        task=lambda wildcards: JOBS.table_of(JOBS.modules.task),
    output:
        "<results>/duels/{condition}/{block}/split.parquet",
    log:
        "<results>/logs/split_modules/{condition}/{block}.log",
    wildcard_constraints:
        condition="planted",
    params:
        split=lambda wildcards: to_json(JOBS.modules.split),
        how=options(first_seed=STUDY.first_seed, replicas=STUDY.block),
        code=fingerprint("stages.split_examples"),
    message:
        "Splitting the examples of planted duels, block {wildcards.block}"


rule train_modules:
    input:
        split="<results>/duels/planted/{block}/split.parquet",
    output:
        weights="<results>/duels/planted/{block}/modules.safetensors",
        modules="<results>/duels/planted/{block}/modules.parquet",
    log:
        "<results>/logs/train_modules/{block}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("train_modules"),
    params:
        planting=lambda wildcards: to_json(JOBS.planting),
        device=STUDY.device,
        code=fingerprint("stages.train_modules"),
    message:
        "Training the modules of planted duels, block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.train_modules --split {input.split} --planting {params.planting:q}"
        " --device {params.device} --weights {output.weights} --modules {output.modules} > {log} 2>&1"


rule duel_modules:
    input:
        split="<results>/duels/planted/{block}/split.parquet",
        weights="<results>/duels/planted/{block}/modules.safetensors",
    output:
        "<results>/duels/planted/{block}/duels.parquet",
    log:
        "<results>/logs/duel_modules/{block}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=mb("duel_modules"),
    params:
        planting=lambda wildcards: to_json(JOBS.planting),
        duels=lambda wildcards: to_json(JOBS.duels),
        device=STUDY.device,
        code=fingerprint("stages.duel_modules"),
    message:
        "Running the planted duels of block {wildcards.block}"
    shell:
        "python -m general_circuits.stages.duel_modules --split {input.split} --weights {input.weights}"
        " --planting {params.planting:q} --duels {params.duels:q} --device {params.device} --output {output} > {log} 2>&1"
