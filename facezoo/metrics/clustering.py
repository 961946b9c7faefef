"""How well clusters agree with people: pairwise and BCubed precision and recall, and NMI."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facezoo.metrics.embeddings import check_labels


@dataclass(frozen=True)
class PrecisionRecall:
    """Two shares that are easy to have one without the other.

    Args:
        precision: Of what a cluster holds together, the share that belongs together.
        recall: Of what belongs together, the share that a cluster holds together.
    """

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """Their harmonic mean; 0 if both are."""
        total = self.precision + self.recall
        return 2.0 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True)
class ClusteringScores:
    """How well clusters agree with people.

    Args:
        pairwise: Over pairs of images. A person of n images weighs as n (n - 1) / 2.
        bcubed: Over images: of each image's cluster the share of its person, and of its person
            the share in its cluster, averaged. A person of n images weighs as n.
        nmi: Normalised mutual information, in [0, 1]. It is not adjusted for chance: many small
            clusters have a high one, whomever they hold.
        num_clusters: Clusters.
        num_people: People.
    """

    pairwise: PrecisionRecall
    bcubed: PrecisionRecall
    nmi: float
    num_clusters: int
    num_people: int


def clustering_scores(cluster: ArrayLike, label: ArrayLike) -> ClusteringScores:
    """Compares clusters with people.

    Args:
        cluster: int [N], the cluster of each image, under any numbers.
        label: int [N], the person of each image; two people or more, one with two images or more.

    Raises:
        ValueError: Shapes do not fit, or there is one person only, or none with two images.

    Numerics:
        Clusters of one image each claim no pair. None of their claims is wrong, so their pairwise
        precision is 1, and their recall is 0. NMI is the mutual information over the mean of the
        two entropies.

    Source:
        E. Amigó et al., "A comparison of extrinsic clustering evaluation metrics based on formal
        constraints", Information Retrieval 12 (2009), page 461 ff., for pairs and BCubed;
        N. Vinh, J. Epps and J. Bailey, JMLR 11 (2010), table 2, NMI_sum.
    """
    label = check_labels(label, np.size(label))
    cluster = check_labels(cluster, len(label), "cluster")
    table = _Table.of(cluster, label)
    if len(table.people) < 2 or table.people.max() < 2:
        raise ValueError(
            "Clustering is scored on two people or more, one of them with two images or more. "
            f"Received: {len(label)} images of {len(table.people)} people."
        )
    return ClusteringScores(
        table.pairwise(), table.bcubed(), table.nmi(), len(table.clusters), len(table.people)
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """How many images each cluster has of each person; what is zero is left out.

    Args:
        both: int [C], images of a cluster that show one person.
        cluster: int [C], which cluster that is.
        person: int [C], which person that is.
        clusters: int [K], images of each cluster.
        people: int [M], images of each person.
    """

    both: NDArray
    cluster: NDArray
    person: NDArray
    clusters: NDArray
    people: NDArray

    @classmethod
    def of(cls, cluster: NDArray, label: NDArray) -> "_Table":
        _, cluster, clusters = np.unique(cluster, return_inverse=True, return_counts=True)
        _, person, people = np.unique(label, return_inverse=True, return_counts=True)
        cells, both = np.unique(cluster * len(people) + person, return_counts=True)
        return cls(both, *np.divmod(cells, len(people)), clusters, people)

    def pairwise(self) -> PrecisionRecall:
        right, claimed, true = (
            int(np.sum(size * (size - 1) // 2)) for size in (self.both, self.clusters, self.people)
        )
        return PrecisionRecall(right / claimed if claimed else 1.0, right / true)

    def bcubed(self) -> PrecisionRecall:
        num_images = self.both.sum()
        shares = self.both**2 / self.clusters[self.cluster], self.both**2 / self.people[self.person]
        return PrecisionRecall(*(float(share.sum() / num_images) for share in shares))

    def nmi(self) -> float:
        joint, cluster, person = (
            size / self.both.sum() for size in (self.both, self.clusters, self.people)
        )
        expected = cluster[self.cluster] * person[self.person]
        shared = float(np.sum(joint * np.log(joint / expected)))
        entropy = [-float(np.sum(share * np.log(share))) for share in (cluster, person)]
        # Rounding could leave it a hair outside.
        return min(max(2.0 * shared / sum(entropy), 0.0), 1.0)
