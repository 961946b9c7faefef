"""Curation: finds what would spoil a model: duplicate people, wrong labels, poor images."""

from facezoo.curation.account import changes_anything, curation_report
from facezoo.curation.centers import check_head, class_means, head_centers
from facezoo.curation.cleaned import DROPPED, Cleaned, class_map, clean, who_is_who
from facezoo.curation.curate import Curation, Rules, curate
from facezoo.curation.duplicate_people import DuplicatePeople, find_duplicate_people
from facezoo.curation.duplicate_pictures import DuplicatePictures, find_duplicate_pictures
from facezoo.curation.faces import Faces, Person
from facezoo.curation.hard_examples import HardExamples, HardSet, select_hard_examples
from facezoo.curation.label_rules import (
    Vote,
    far_from_center,
    far_from_dominant_center,
    strange_neighbors,
)
from facezoo.curation.low_norms import LowNorms, NormOrder, find_low_norms, norm_order
from facezoo.curation.noise import (
    PlantedNoise,
    add_outliers,
    choose_pictures,
    flip_labels,
    plant_noise,
    split_people,
)
from facezoo.curation.noise_scores import (
    DetectionScores,
    couples_of,
    dropped_rows,
    merged_couples,
    precision_recall,
)
from facezoo.curation.out_of_fold import out_of_fold
from facezoo.curation.plan import (
    DROP,
    KEEP,
    MERGE,
    Decision,
    Finding,
    Subject,
    decide,
    read_plan,
    write_plan,
)
from facezoo.curation.published import read_published
from facezoo.curation.report import ReadPicture, write_report
from facezoo.curation.review import overrule, read_reviewed, write_review
from facezoo.curation.wrong_labels import WrongLabels, find_wrong_labels

__all__ = [
    "DROP",
    "DROPPED",
    "KEEP",
    "MERGE",
    "Cleaned",
    "Curation",
    "Decision",
    "DetectionScores",
    "DuplicatePeople",
    "DuplicatePictures",
    "Faces",
    "Finding",
    "HardExamples",
    "HardSet",
    "LowNorms",
    "NormOrder",
    "Person",
    "PlantedNoise",
    "ReadPicture",
    "Rules",
    "Subject",
    "Vote",
    "WrongLabels",
    "add_outliers",
    "changes_anything",
    "check_head",
    "choose_pictures",
    "class_map",
    "class_means",
    "clean",
    "couples_of",
    "curate",
    "curation_report",
    "decide",
    "dropped_rows",
    "far_from_center",
    "far_from_dominant_center",
    "find_duplicate_people",
    "find_duplicate_pictures",
    "find_low_norms",
    "find_wrong_labels",
    "flip_labels",
    "head_centers",
    "merged_couples",
    "norm_order",
    "out_of_fold",
    "overrule",
    "plant_noise",
    "precision_recall",
    "read_plan",
    "read_published",
    "read_reviewed",
    "select_hard_examples",
    "split_people",
    "strange_neighbors",
    "who_is_who",
    "write_plan",
    "write_report",
    "write_review",
]
