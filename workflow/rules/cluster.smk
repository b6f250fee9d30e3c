# Which jobs are sent nowhere, and what a cluster needs beyond profiles/slurm.


# Shorter than the start of a job elsewhere: these run where Snakemake runs.
localrules:
    generate_task,
    split_modules,
    find_events,
    list_conditions,
    describe_saliency,
    specify_distribution,
    specify_claim,
    judge_claim,
    merge_verdicts,
    plot_figure,
    write_page,
    write_front_page,
    index_table,


def take_over():
    """Make sure that nothing of an earlier run on a cluster writes beside this one, and that this one can end."""
    is_slurm = type(workflow.executor_settings).__module__ == "snakemake_executor_plugin_slurm"
    try:
        if is_slurm:
            cluster.check_status_command(workflow.executor_settings.status_command)
            cluster.submit_alike_together()
        run = workflow.scheduler._executor.run_uuid if is_slurm else None
        cluster.take_over(RESULTS / ".state" / "slurm_run", run, logger.info)
    except cluster.ClusterError as error:
        raise WorkflowError(str(error)) from None
