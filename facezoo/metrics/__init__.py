"""The measure lane: distances of pairs, or embeddings and labels in, numbers out; plain NumPy."""

from facezoo.metrics.agglomerative import LINKAGES, cluster
from facezoo.metrics.bootstrap import bootstrap_verification
from facezoo.metrics.cluster_shapes import ClusterShapes, cluster_shapes
from facezoo.metrics.clustering import ClusteringScores, PrecisionRecall, clustering_scores
from facezoo.metrics.det import DetCurve, det_curve, det_of
from facezoo.metrics.fisher import fisher_ratio
from facezoo.metrics.folds import FoldScores, fold_accuracy, fold_val_at_far, mean_and_error
from facezoo.metrics.histogram import DistanceHistogram
from facezoo.metrics.identification import (
    IdentificationPoint,
    Searches,
    cmc,
    rank_k,
    search,
    tpir_at_fpir,
)
from facezoo.metrics.interval import wilson_interval
from facezoo.metrics.knn import knn_accuracy, knn_classify
from facezoo.metrics.nearest import nearest, nearest_others
from facezoo.metrics.pair_counts import LabelledRows, PairMatrix
from facezoo.metrics.retrieval import RetrievalScores, retrieval_scores
from facezoo.metrics.roc import RocCurve, auc, eer, roc_curve
from facezoo.metrics.targets import supports_far
from facezoo.metrics.verification import (
    OperatingPoint,
    accuracy,
    best_threshold,
    operating_point,
    val_at_far,
)

__all__ = [
    "LINKAGES",
    "ClusterShapes",
    "ClusteringScores",
    "DetCurve",
    "DistanceHistogram",
    "FoldScores",
    "IdentificationPoint",
    "LabelledRows",
    "OperatingPoint",
    "PairMatrix",
    "PrecisionRecall",
    "RetrievalScores",
    "RocCurve",
    "Searches",
    "accuracy",
    "auc",
    "best_threshold",
    "bootstrap_verification",
    "cluster",
    "cluster_shapes",
    "clustering_scores",
    "cmc",
    "det_curve",
    "det_of",
    "eer",
    "fisher_ratio",
    "fold_accuracy",
    "fold_val_at_far",
    "knn_accuracy",
    "knn_classify",
    "mean_and_error",
    "nearest",
    "nearest_others",
    "operating_point",
    "rank_k",
    "retrieval_scores",
    "roc_curve",
    "search",
    "supports_far",
    "tpir_at_fpir",
    "val_at_far",
    "wilson_interval",
]
