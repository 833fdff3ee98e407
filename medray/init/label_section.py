"""The section labels where images have several: what means none, what says nothing, and what is too rare."""

from medray.audit.survey import Survey
from medray.data.label_sets import find_none_label
from medray.data.listing.listing import TEST, TRAIN, VAL
from medray.init.document import Line
from medray.text import first_names, natural_order, plural


def label_set_lines(survey: Survey) -> list[Line]:
    """Name the label that means none, and leave out images of which the source says nothing."""
    lines = []
    if survey.none_label is not None:
        count = sum(survey.none_label in labels for labels in survey.labels)
        reason = f"{plural(count, 'image')} of no label; it never stands beside another"
        lines.append(Line("none", survey.none_label, reason))
    if survey.unlabelled:
        images = f"{plural(len(survey.unlabelled), 'image')} of which the table says nothing"
        lines.append(Line("blank", "drop", f"{images}; or `none`, if that means no label"))
    return lines


def note_none_beside_others(survey: Survey) -> list[str]:
    """Return a note on each label that means none by its name, but stands beside others, so that it is kept."""
    if not survey.label_sets:
        return []
    notes = []
    for name, count in find_none_label(survey.labels)[1].most_common():
        others = next(labels for labels in survey.labels if name in labels and len({*labels}) > 1)
        beside = first_names([label for label in dict.fromkeys(others) if label != name])
        notes.append(
            f"'{name}' means none by its name, but stands beside others in {plural(count, 'image')}, such as "
            f"{beside}: it is a label like others here; `labels: {{leave_out: [{name}]}}` asks for it no more"
        )
    return notes


def lacking_labels(survey: Survey, kept: Survey) -> dict[str, str]:
    """Return the labels that no model could learn or be measured on, each with the split that has no image of it.

    Those are train and val, and test where it is drawn here. None where fewer than two labels would be left.
    """
    lacking: dict[str, str] = {}
    answers = kept.answers() == 1
    for split in (TEST, VAL, TRAIN):
        if split != TEST or split not in survey.split_names:
            inside = answers[kept.in_split(split)].any(axis=0)
            lacking |= {
                name: split for name, there in zip(kept.class_names, inside.tolist(), strict=True) if not there
            }
    lacking = {name: lacking[name] for name in natural_order(lacking)}
    return lacking if len(kept.class_names) - len(lacking) > 1 else {}
