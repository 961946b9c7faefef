"""Speed and memory, beside peers; run by hand, never by the tests."""
