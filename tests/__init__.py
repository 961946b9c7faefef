"""The tests: parts crossed with checks and oracles, rooms tested by themselves."""
