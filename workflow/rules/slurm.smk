# Rules whose jobs run where Snakemake runs, and settings that a cluster needs in addition to profiles/slurm.


# These jobs are shorter than the start of a job on a cluster.
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
    """Make sure that no job of an earlier run on a cluster still writes files, and that this run can end."""
    is_slurm = type(workflow.executor_settings).__module__ == "snakemake_executor_plugin_slurm"
    try:
        if is_slurm:
            slurm.check_status_command(workflow.executor_settings.status_command)
            slurm.submit_alike_together()
        run = workflow.scheduler._executor.run_uuid if is_slurm else None
        slurm.take_over(slurm.record(JOBS.results), run, logger.info)
    except slurm.ClusterError as error:
        raise WorkflowError(str(error)) from None
