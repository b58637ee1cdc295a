"""Match strategies: the order and the manner in which keys are consulted."""
