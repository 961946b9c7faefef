"""The oracles: each formula as its paper has it, in NumPy float64, slow and plain."""
