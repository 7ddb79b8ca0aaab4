"""ckptstore beside LangGraph's own savers, in one run on one machine: `python -m benchmarks --help`."""
