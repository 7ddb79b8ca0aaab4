"""What a store costs at sizes that nobody measures: a model of what was measured at smaller ones, and how wrong it is."""
