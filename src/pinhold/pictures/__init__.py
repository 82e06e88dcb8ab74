"""Pictures of runs: who holds which page frame, step by step, from a run file and nothing else."""
