"""Flask: binds paths to the core and translates, nothing else."""
