"""How far apart the two kinds of distances lie, beside how far each is spread."""

from numpy.typing import ArrayLike

from facezoo.metrics.distances import check_distances


def fisher_ratio(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Squared distance of the means over the sum of the variances.

    `(mean(impostor) - mean(genuine))^2 / (var(impostor) + var(genuine))`. Other than AUC and EER
    it changes with the scale on which distances are measured, so only like may be compared.

    Args:
        genuine: float [G], distances of pairs of one person.
        impostor: float [I], distances of pairs of two people.

    Returns:
        0 or more, whichever of the means is the higher; infinite where the means differ and
        nothing is spread, and 0 where all distances are equal.

    Raises:
        ValueError: One kind is empty, is not one-dimensional, or is not finite.

    Numerics:
        Variances divide by the number of pairs, so that one pair has one: 0.

    Example:
        >>> fisher_ratio([0.0, 2.0], [4.0, 6.0])
        8.0

    Source:
        C. Bishop, "Pattern Recognition and Machine Learning" (2006), equation 4.25, with variances
        in place of sums of squares.
    """
    genuine, impostor = check_distances(genuine, impostor)
    between = (impostor.mean() - genuine.mean()) ** 2
    within = impostor.var() + genuine.var()
    if within == 0.0:
        return float("inf") if between else 0.0
    return float(between / within)
