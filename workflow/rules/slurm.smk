# Which jobs are sent nowhere, and what a cluster needs beyond profiles/slurm.


# Shorter than the start of a job elsewhere: these run where Snakemake runs.
localrules:
    generate_task,
    split_modules,
    find_events,
    list_conditions,
    describe_saliency,
    describe_saliency_all_ways,
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
            slurm.check_status_command(workflow.executor_settings.status_command)
            slurm.submit_alike_together()
        run = workflow.scheduler._executor.run_uuid if is_slurm else None
        slurm.take_over(JOBS.results / ".state" / "slurm_run", run, logger.info)
    except slurm.ClusterError as error:
        raise WorkflowError(str(error)) from None
