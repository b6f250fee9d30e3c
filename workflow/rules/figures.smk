rule plot_figure:
    input:
        lambda wildcards: JOBS.figure_tables(wildcards.drawing),
    output:
        svg=report(
            "<results>/figures/{drawing}.svg",
            caption="../report/figure.rst",
            category=lambda wildcards: JOBS.figure(wildcards.drawing).category,
            labels=lambda wildcards: JOBS.figure_labels(wildcards.drawing),
        ),
        png="<results>/figures/{drawing}.png",
        description="<results>/figures/{drawing}.txt",
    log:
        "<results>/logs/plot_figure/{drawing}.log",
    wildcard_constraints:
        drawing="|".join(DRAWINGS),
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        figure=lambda wildcards: DRAWINGS[wildcards.drawing][0],
        view=lambda wildcards: DRAWINGS[wildcards.drawing][1],
        title=lambda wildcards: JOBS.figure(wildcards.drawing).title,
        caption=lambda wildcards: JOBS.figure(wildcards.drawing).caption,
        results=results_folder,
        reads=lambda wildcards: ",".join(JOBS.figure(wildcards.drawing).tables),
        indexed=lambda wildcards: JOBS.figure_indexed(wildcards.drawing),
        axes=lambda wildcards: JOBS.axes_option(
            JOBS.figure(wildcards.drawing).tables, JOBS.figure_axes(wildcards.drawing)
        ),
        code=lambda wildcards: JOBS.reader_code(
            "plot_figure", f"figures.{DRAWINGS[wildcards.drawing][0]}", JOBS.figure(wildcards.drawing).tables
        ),
    message:
        "Drawing the figure {wildcards.drawing}"
    shell:
        "python -m general_circuits.stages.plot_figure --figure {params.figure} --view {params.view}"
        " --title {params.title:q} --results {params.results} --reads {params.reads} --indexed={params.indexed}"
        " --axes <(echo {params.axes:q})"
        " --svg {output.svg} --png {output.png} --description {output.description} > {log} 2>&1"
