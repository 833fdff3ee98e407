"""Say what folders look like by their names: magnifications, sites, copies, patients, studies, views."""

import re
from collections.abc import Collection

from medray.data.listing.folder_names import comparable, fold_number, splits_in, words_of
from medray.data.listing.side_cars.side_words import is_image_name, is_side_name

MAGNIFICATIONS, COPIES = "magnifications", "augmented or processed copies of the same images"
SITES, VIEWS = "sites", "views"
SEXES, MODALITIES, SPLITS, FOLDS = "sexes", "modalities", "splits", "folds"
FILES, NUMBERS, PATIENTS = "kinds of files", "numbers or ids", "patients"
#: Looks by which results are told apart, and the name that such a subgroup gets in a line.
SUBGROUP_NAMES = {
    MAGNIFICATIONS: "magnification", SITES: "site", VIEWS: "view", SEXES: "sex", MODALITIES: "modality"
}  # fmt: skip
#: Words that, with a number, name a person.
PERSON_WORDS = {
    "patient": PATIENTS, "patients": PATIENTS, "pat": PATIENTS, "pt": PATIENTS, "pid": PATIENTS, "p": PATIENTS,
    "mrn": PATIENTS, "subject": "subjects", "subj": "subjects", "sub": "subjects", "sbj": "subjects",
    "case": "cases", "person": "persons", "participant": "participants", "donor": "donors",
    "individual": "individuals", "volunteer": "volunteers", "animal": "animals", "mouse": "mice", "rat": "rats",
}  # fmt: skip
#: Words that, with a number, name several images that belong together, such as all of a visit.
UNIT_WORDS = {
    "study": "studies", "exam": "exams", "examination": "exams", "visit": "visits", "session": "sessions",
    "ses": "sessions", "series": "series", "serie": "series", "ser": "series", "lesion": "lesions",
    "slide": "slides", "wsi": "slides", "scan": "scans", "scans": "scans", "specimen": "specimens",
    "biopsy": "biopsies", "sample": "samples", "eye": "eyes", "nodule": "nodules", "tumor": "tumours",
    "tumour": "tumours", "accession": "accessions", "acq": "acquisitions", "acquisition": "acquisitions",
    "encounter": "encounters", "timepoint": "time points", "followup": "follow-ups", "roi": "regions",
    "region": "regions", "block": "blocks", "volume": "volumes", "vol": "volumes", "video": "videos",
    "family": "families", "record": "records", "st": "studies", "se": "series", "s": "studies or subjects",
    "image": "images", "stack": "stacks", "well": "wells", "plate": "plates",
}  # fmt: skip
_MAGNIFICATION = re.compile(
    r"(?:mag(?:nification)?|obj(?:ective)?)?[ _-]*(?:x[ _-]*\d{1,4}|\d{1,4}(?:[.,]\d+)?[ _-]*[x×])"
)
_COPY_WORDS = frozenset({
    "augmented", "augmentation", "augmentations", "augment", "aug", "augs", "enhanced", "clahe", "preprocessed",
    "processed", "normalized", "normalised", "cropped", "resized", "rotated", "flipped", "mirrored", "synthetic",
    "generated", "denoised", "equalized", "equalised", "filtered", "sharpened", "gamma",
    "bilateral", "blurred", "noisy", "oversampled",
    "undersampled", "stained", "recolored", "recoloured",
})  # fmt: skip
_ORIGINAL_WORDS = frozenset({"original", "originals", "orig", "raw", "unprocessed", "unaugmented", "real"})
_X_RAY = re.compile(r"(?i)\bx[ _-]rays?\b")
_COPY_PREFIX = re.compile(r"augment|preprocess|resiz|crop|rotat|flip")
_WORDS = {
    SITES: frozenset({
        "site", "hospital", "hosp", "center", "centre", "clinic", "klinik", "institution", "institute",
        "scanner", "device", "vendor", "machine", "camera", "country", "source", "microscope", "lab",
        "laboratory", "university", "manufacturer", "database", "dataset", "cohort", "batch", "domain",
    }),
    SEXES: frozenset({"male", "female", "m", "f", "men", "women", "man", "woman", "boys", "girls"}),
    VIEWS: frozenset({
        "left", "right", "l", "r", "ap", "pa", "lateral", "lat", "frontal", "front", "axial", "coronal",
        "sagittal", "transverse", "cc", "mlo", "lcc", "rcc", "lmlo", "rmlo", "od", "os", "plax", "psax",
        "dorsal", "ventral", "anterior", "posterior", "oblique", "macula", "disc", "top", "side",
    }),
    MODALITIES: frozenset({
        "ct", "mri", "mr", "xray", "cxr", "us", "ultrasound", "pet", "oct", "fundus", "dermoscopy", "clinical",
        "flair", "t", "tw", "dwi", "adc", "mammography", "histology", "he", "ihc",
    }),
}  # fmt: skip
_FILE_WORDS = frozenset({"json", "dicom", "dcm", "tif", "tiff", "bmp", "nifti", "files"})
_CLASS_WORDS = frozenset({
    "grade", "stage", "class", "birads", "rads", "pirads", "tirads", "lirads", "level", "type", "score", "label",
    "category", "kl", "dr", "gleason", "cin", "covid", "cat", "severity", "degree", "phase",
})  # fmt: skip
SMALL_NUMBERS = 12  # folders of numbers that may be classes


def looks_like(names: Collection[str]) -> str | None:
    """Return what the folders of these names look like, None if nothing speaks for it; all must look like it.

    >>> looks_like(["40X", "100X"]), looks_like(["patient001", "patient002"]), looks_like(["benign", "normal"])
    ('magnifications', 'patients', None)
    """
    lowered = [comparable(name) for name in names]
    words = [frozenset(words_of(_X_RAY.sub("xray", name))) for name in names]
    if not lowered:
        return None
    if all(splits_in(name)[0] for name in names):
        return SPLITS
    if all(fold_number(name) is not None for name in names):
        return FOLDS
    if all(map(_MAGNIFICATION.fullmatch, lowered)):
        return MAGNIFICATIONS
    if _are_copies(names):
        return COPIES
    unit = unit_named(names)
    if unit:
        return unit
    if all(is_image_name(name) or is_side_name(name) or {*words_of(name)} & _FILE_WORDS for name in names):
        return FILES
    letters = [frozenset(word for word in part if not word.isdigit()) for part in words]
    for look, valid in _WORDS.items():
        match_words = any if look == SITES else all  # Hospital A, but left, and not left lung
        if all(part and match_words(word in valid for word in part) for part in letters):
            return look
    digits = all(re.search(r"\d", name) for name in lowered)
    if digits and not any(part & _CLASS_WORDS for part in letters):
        return NUMBERS
    return None


def unit_named(names: Collection[str]) -> str | None:
    """Return the plural of the word for a person, study or the like that is in all names, with a number."""
    for kinds in (PERSON_WORDS, UNIT_WORDS):
        units = [next((kinds[word] for word in words_of(name) if word in kinds), None) for name in names]
        if units and None not in units and all(re.search(r"\d", name) for name in names):
            return units[0]
    return None


def are_small_numbers(names: Collection[str]) -> bool:
    """Return whether folders are named by a few whole numbers, which may be classes as well as patients."""
    return len(names) <= SMALL_NUMBERS and all(re.fullmatch(r"[0-9]{1,2}", name.strip()) for name in names)


def is_copy(name: str) -> bool:
    """Return whether a word of a name says that images were augmented or processed."""
    words = words_of(name)
    return any(word in _COPY_WORDS or _COPY_PREFIX.match(word) for word in words)


def name_of_originals(name: str) -> tuple[str, ...]:
    """Return the words of a name without those that say that images are copies or originals."""
    return tuple(word for word in words_of(name) if word not in _ORIGINAL_WORDS and not is_copy(word))


def _are_copies(names: Collection[str]) -> bool:
    """Return whether some names are those of copies, and all others of originals, or at most as many of others."""
    copies = [is_copy(name) for name in names]
    originals = [bool(_ORIGINAL_WORDS & {*words_of(name)}) for name in names]
    return any(copies) and sum(copies) + sum(originals) >= len(copies) / 2
