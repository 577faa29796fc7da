"""How a network gets its weights: data sets by layout, tasks on Lightning, and `python -m training`."""
