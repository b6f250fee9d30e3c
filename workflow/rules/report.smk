rule write_page:
    input:
        lambda wildcards: JOBS.whole_tables(PAGES[wildcards.page].tables + PAGES[wildcards.page].after),
    output:
        report(
            "<results>/report/{page}.html",
            caption="../report/page.rst",
            category=lambda wildcards: PAGES[wildcards.page].category,
            labels=lambda wildcards: {"shows": PAGES[wildcards.page].title},
        ),
    log:
        "<results>/logs/write_page/{page}.log",
    wildcard_constraints:
        page="|".join(PAGES),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        results=results_folder,
        reads=lambda wildcards: ",".join(PAGES[wildcards.page].tables),
        indexed=lambda wildcards: JOBS.indexed(PAGES[wildcards.page].tables),
        axes=lambda wildcards: JOBS.axes_option(PAGES[wildcards.page].tables, JOBS.axes),
        settings=lambda wildcards: JOBS.study_option,
        timed=lambda wildcards: timed_jobs(JOBS, workflow.rules) if wildcards.page == "run_times" else "{}",
        caption=lambda wildcards: PAGES[wildcards.page].caption,
        # One page is the data dictionary, which describes every schema.
        code=fingerprint("stages.write_page", *(f"storage.schemas.{name}" for name in schemas.names())),
    message:
        "Writing the page {wildcards.page}"
    shell:
        "python -m general_circuits.stages.write_page --page {wildcards.page} --results {params.results}"
        " --reads={params.reads} --indexed={params.indexed}"
        " --axes <(echo {params.axes:q}) --settings <(echo {params.settings:q})"
        " --timed <(echo {params.timed:q}) --output {output} > {log} 2>&1"


rule write_front_page:
    input:
        verdicts=rules.merge_verdicts.output,
        pictures=expand("<results>/figures/{drawing}.png", drawing=JOBS.front_drawings),
        words=expand("<results>/figures/{drawing}.txt", drawing=JOBS.front_drawings),
    output:
        "<results>/report/front.html",
    log:
        "<results>/logs/write_front_page.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=500,
    params:
        titles="|".join(JOBS.figure(drawing).title for drawing in JOBS.front_drawings),
        pictures=lambda wildcards, input: ",".join(input.pictures),
        code=fingerprint("stages.write_front_page"),
    message:
        "Writing the report's front page"
    shell:
        "python -m general_circuits.stages.write_front_page --verdicts {input.verdicts} --titles {params.titles:q}"
        " --pictures {params.pictures:q} --page {output} > {log} 2>&1"
