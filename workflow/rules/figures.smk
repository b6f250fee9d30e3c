rule plot_figure:
    input:
        lambda wildcards: study_tables(FIGURES[wildcards.figure].tables, CONDITIONS),
    output:
        svg=report(
            "<results>/figures/{figure}.svg",
            caption="../report/figure.rst",
            category=lambda wildcards: FIGURES[wildcards.figure].category,
            labels=lambda wildcards: {"figure": FIGURES[wildcards.figure].title},
        ),
        png="<results>/figures/{figure}.png",
    log:
        "<results>/logs/plot_figure/{figure}.log",
    wildcard_constraints:
        figure="|".join(FIGURES),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        results=results_folder,
        reads=lambda wildcards: ",".join(FIGURES[wildcards.figure].tables),
        conditions=",".join(CONDITIONS),
        blocks=STUDY.blocks,
        caption=lambda wildcards: FIGURES[wildcards.figure].caption,
        code=lambda wildcards: reader_code(
            "stages.plot_figure", f"figures.{wildcards.figure}", FIGURES[wildcards.figure].tables
        ),
    message:
        "Drawing the figure {wildcards.figure}"
    shell:
        "python -m general_circuits.stages.plot_figure --figure {wildcards.figure} --results {params.results}"
        " --reads {params.reads} --conditions {params.conditions} --blocks {params.blocks}"
        " --svg {output.svg} --png {output.png} > {log} 2>&1"
