"""Model cards: the template that ModelCardGen fills, and one card per built-in preset."""
