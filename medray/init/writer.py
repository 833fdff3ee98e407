"""A study -> the text of its search space."""

from medray.data.listing.listing import SPLITS
from medray.init.budget_sections import budget_lines, objective_lines, resource_lines
from medray.init.data_sections import patient_count, told_size
from medray.init.document import Line, Section, comment, render
from medray.init.pipelines import pipeline_lines, why_pipelines
from medray.init.proposal import Study, class_counts
from medray.init.space_sections import baseline_lines, fixed_lines, space_lines

MOST_CLASSES = 8
HEAD = (
    "Written by `medray init` after a look at the data: each comment says why. Change what you know better; "
    "docs/search.md says what else may stand here."
)


def write(study: Study) -> str:
    """Write a study's search space; the text is one that `SearchSpace.load` reads.

    Raises:
        ConfigError: it would not be, which no study should lead to.
    """
    from medray.space.loading import parse

    text = "\n".join([*comment(title(study)), "#", *comment(HEAD)]) + "\n" + render(_sections(study))
    parse(text, f"{study.name}.yaml")
    return text


def title(study: Study) -> str:
    """The study in a line."""
    kept, names = study.kept, study.kept.class_names
    patients = patient_count(kept)
    of = f" of {patients:,} patients" if patients else ""
    splits = ", ".join(f"{kept.in_split(own).sum():,} {own}" for own in SPLITS)
    return f"{study.name}: {len(kept):,} images{of} in {len(names)} classes ({splits})."


def _sections(study: Study) -> list[Section]:
    return [
        Section("", [Line("name", study.name), Line("description", _description(study))]),
        Section("", [Line("data", study.source, "--data SOURCE takes its place")], _why_data(study)),
        Section("images", study.images),
        Section("labels", study.labels, "Such images are left out."),
        Section("splits", study.splits, "The source does not name them; the same images are taken each time."),
        Section("objective", objective_lines(study), "Measured on validation."),
        Section("budget", budget_lines(study)),
        Section("resources", resource_lines(study), "Of one trial."),
        Section("space", space_lines(study)),
        Section("fixed", fixed_lines(study)),
        Section("transforms", pipeline_lines(study), why_pipelines(study)),
        Section("baselines", baseline_lines(study), "What a person would start from: it runs first."),
    ]


def _description(study: Study) -> str:
    kind = "grey" if study.shape[2] == 1 else "colour"
    return f"{len(study.kept.class_names)} classes of {kind} images, {told_size(study.survey)}"


def _why_data(study: Study) -> str:
    """The classes by size, what the columns were guessed to be, and what holds of arrays."""
    counts = sorted(class_counts(study.kept).items(), key=lambda own: -own[1])
    told = [f"{name} ({count:,})" for name, count in counts[:MOST_CLASSES]]
    more = len(counts) - MOST_CLASSES
    text = f"{', '.join(told)}{f' and {more} more' if more > 0 else ''}."
    if study.guessed:
        columns = ", ".join(f"{own} is '{column}'" for own, column in study.guessed)
        text += f" Columns by their names: {columns}."
    if not study.survey.files:
        height, width, _ = study.shape
        text += (
            f" These are arrays of {height}×{width}, which stay as they are unless `images` has an `image_size`."
        )
    return text
