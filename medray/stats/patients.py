"""Which values of a column of patients say that the patient is unknown."""


def is_missing(patient: object) -> bool:
    """Return whether a patient is unknown: None, NaN or empty text, or one of these written as a word."""
    return str(patient).lower() in ("", "none", "nan")
