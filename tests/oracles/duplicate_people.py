"""Duplicate people as their definitions say, every picture against every other: slow and plain."""

import numpy as np


def mean_cosine(one, other=None):
    """Mean cosine of different pictures of one person, or of one's with another's; None if none."""
    if other is not None:
        return float(np.mean(one @ other.T))
    if len(one) < 2:
        return None
    product = one @ one.T
    return float((product.sum() - np.trace(product)) / (product.size - len(one)))


def agreement(pictures, one, other):
    """`between / sqrt(inside * inside)`, everybody with a further pair of the usual cosine."""
    inside = [mean_cosine(some) for some in pictures]
    known = [value for value in inside if value is not None]
    usual = float(np.median(known)) if known else 1.0

    def counted(person):
        pairs = len(pictures[person]) * (len(pictures[person]) - 1) // 2
        return (pairs * (inside[person] or 0.0) + usual) / (pairs + 1)

    between = mean_cosine(pictures[one], pictures[other])
    return between / np.sqrt(counted(one) * counted(other))


def nearness(centers, one, other, rank=5):
    """How far two centres are apart, as a share of how far the nearer strangers are."""
    cosine = centers @ centers.T
    others = [row for row in range(len(centers)) if row not in (one, other)]
    if not others:
        return None
    strangers = [sorted(cosine[who, others])[::-1][:rank][-1] for who in (one, other)]
    return (1 - cosine[one, other]) / (1 - max(strangers))
