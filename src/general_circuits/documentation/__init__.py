"""Generated documentation: the README's results, references of config, tables, tasks and networks."""
