"""Match strategies: in which order, and how, keys are consulted."""
