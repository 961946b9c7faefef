"""Who is this? Enrolled people in one file, searched for the faces of photographs."""

from facezoo.gallery.binding import Binding
from facezoo.gallery.calibration import Calibration, calibrate
from facezoo.gallery.entry import Enrolment, Entry, Picture, picture_digest
from facezoo.gallery.faces import Faces
from facezoo.gallery.gallery import Gallery
from facezoo.gallery.identify import Candidate, Identification, Identifier, IdentifyOptions
from facezoo.gallery.index import Index, make_index
from facezoo.gallery.refresh import RefreshPlan, plan_refresh

__all__ = [
    "Binding",
    "Calibration",
    "Candidate",
    "Enrolment",
    "Entry",
    "Faces",
    "Gallery",
    "Identification",
    "Identifier",
    "IdentifyOptions",
    "Index",
    "Picture",
    "RefreshPlan",
    "calibrate",
    "make_index",
    "picture_digest",
    "plan_refresh",
]
