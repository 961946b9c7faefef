"""How far a measured share may be from the true one."""

from statistics import NormalDist


def wilson_interval(
    num_successes: int, num_trials: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval that covers the true share with the given confidence.

    Args:
        num_successes: Trials that succeeded, 0 to `num_trials`.
        num_trials: At least 1. They are taken as independent; pairs that share an image are not,
            so for pairs the interval is a lower bound of the uncertainty.
        confidence: Between 0 and 1.

    Returns:
        `(low, high)`, within [0, 1]; not empty even when all trials succeed or none does.

    Raises:
        ValueError: An argument is out of range.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        JASA 22 (1927), page 209 ff.
    """
    if not 0 <= num_successes <= num_trials or num_trials < 1:
        raise ValueError(
            "num_successes must be in [0, num_trials] and num_trials at least 1. "
            f"Received: num_successes={num_successes}, num_trials={num_trials}."
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1. Received: {confidence}.")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = num_successes / num_trials
    scale = 1 + z**2 / num_trials
    center = share + z**2 / (2 * num_trials)
    spread = z * (share * (1 - share) / num_trials + (z / (2 * num_trials)) ** 2) ** 0.5
    return max((center - spread) / scale, 0.0), min((center + spread) / scale, 1.0)
