"""What is done to a store, and to LangGraph's own savers beside it: `python -m benchmarks.faults`, `make faults`."""
