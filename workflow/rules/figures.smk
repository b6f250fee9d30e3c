rule plot_figure:
    input:
        figure_tables,
    output:
        svg=report(
            "<results>/figures/{drawing}.svg",
            caption="../report/figure.rst",
            category=lambda wildcards: figure_of(wildcards).category,
            labels=figure_labels,
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
        title=lambda wildcards: figure_of(wildcards).title,
        caption=lambda wildcards: figure_of(wildcards).caption,
        results=results_folder,
        reads=lambda wildcards: ",".join(figure_of(wildcards).tables),
        axes=lambda wildcards: axes_option(figure_of(wildcards).tables, figure_axes(wildcards)),
        code=lambda wildcards: reader_code(
            "stages.plot_figure", f"figures.{DRAWINGS[wildcards.drawing][0]}", figure_of(wildcards).tables
        ),
    message:
        "Drawing {wildcards.drawing}"
    shell:
        "python -m general_circuits.stages.plot_figure --figure {params.figure} --view {params.view}"
        " --title {params.title:q} --results {params.results} --reads {params.reads} --axes <(echo {params.axes:q})"
        " --svg {output.svg} --png {output.png} --description {output.description} > {log} 2>&1"
