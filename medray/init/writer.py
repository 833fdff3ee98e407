"""A StudyProposal -> the text of its search space."""

from medray.data.listing.folders.related_images import RELATED
from medray.data.listing.listing import CALIBRATION, SPLITS
from medray.data.listing.tables.hints import UNUSED
from medray.init.budget_sections import budget_lines, objective_lines, resource_lines
from medray.init.data_sections import describe_size, patient_count
from medray.init.document import Line, Section, comment_lines, render
from medray.init.label_section import note_none_beside_others
from medray.init.pipelines import pipeline_lines, pipelines_comment
from medray.init.proposal import StudyProposal
from medray.init.space_sections import baseline_lines, fixed_lines, portfolio_lines, space_lines
from medray.init.task_section import order_lines, task_lines
from medray.text import first_names

MOST_CLASSES = 8
PORTFOLIO = (
    "A ladder, which is climbed before anything is drawn: linear heads on frozen published networks (probe), a "
    "small network from random weights, and published ones fine-tuned. docs/performance.md has why."
)
HEAD = (
    "Written by `medray init` after a look at the data: each comment gives a reason. Change what you know better; "
    "docs/search.md lists what else is possible."
)


def write(proposal: StudyProposal) -> str:
    """Return the text of the search space, which `SearchSpace.load` reads.

    Raises:
        ConfigError: it would not be read, which no proposal should lead to.
    """
    from medray.space.loading import parse

    kind = "grey" if proposal.shape[2] == 1 else "colour"
    noun = "labels" if proposal.survey.label_sets else "classes"
    description = f"{len(proposal.kept.class_names)} {noun} of {kind} images, {describe_size(proposal.survey)}"
    sections = [
        Section("", [Line("name", proposal.name), Line("description", description)]),
        Section("", [Line("data", proposal.source, "--data SOURCE replaces it")], _data_comment(proposal)),
        Section(
            "", task_lines(proposal), " ".join(f"{note}." for note in note_none_beside_others(proposal.survey))
        ),
        Section("images", proposal.images),
        Section(
            "labels",
            [*proposal.labels, *order_lines(proposal)],
            _labels_comment(proposal),
        ),
        Section("splits", proposal.splits, "The source does not name them; the same images are taken each time."),
        Section("objective", objective_lines(proposal), "Measured on validation."),
        Section("budget", budget_lines(proposal)),
        Section("resources", resource_lines(proposal), "Of one trial."),
        Section("space", space_lines(proposal)),
        Section("fixed", fixed_lines(proposal)),
        Section("transforms", pipeline_lines(proposal), pipelines_comment(proposal)),
        Section("baselines", baseline_lines(proposal), "A usual setting: it runs first."),
        Section("portfolio", portfolio_lines(proposal), PORTFOLIO),
    ]
    text = "\n".join([*comment_lines(title(proposal)), "#", *comment_lines(HEAD)]) + "\n" + render(sections)
    parse(text, f"{proposal.name}.yaml")
    return text


def title(proposal: StudyProposal) -> str:
    """Return the study's name, images, patients, classes and splits as one sentence."""
    kept, patients = proposal.kept, patient_count(proposal.kept)
    of_patients = f" of {patients:,} patients" if patients else ""
    names = (*SPLITS, *([CALIBRATION] if CALIBRATION in kept.split_names else []))
    splits = ", ".join(f"{kept.in_split(split).sum():,} {split}" for split in names)
    classes = f"with {len(kept.class_names)} labels" if kept.label_sets else f"in {len(kept.class_names)} classes"
    return f"{proposal.name}: {len(kept):,} images{of_patients} {classes} ({splits})."


def _data_comment(proposal: StudyProposal) -> str:
    """Return the classes by size, the columns that were guessed or may be missed, and what holds for arrays."""
    counts = sorted(proposal.class_counts().items(), key=lambda item: -item[1])
    text = f"{first_names([f'{name} ({count:,})' for name, count in counts], MOST_CLASSES)}."
    if proposal.guessed:
        columns = ", ".join(f"{role} is '{column}'" for role, column in proposal.guessed)
        text += f" Columns by their names: {columns}."
    if proposal.excluded:
        text += (
            f" {proposal.excluded[0].upper()}{proposal.excluded[1:]}; `side_cars=keep` in its place keeps them."
        )
    unused = [note for note in proposal.survey.notes if note.startswith((UNUSED, RELATED))]
    text += "".join(f" {note[0].upper()}{note[1:]}." for note in unused)
    if not proposal.survey.from_files:
        height, width, _ = proposal.shape
        text += f" These are arrays of {height}×{width}, which they remain unless `images` has an `image_size`."
    return text


def _labels_comment(proposal: StudyProposal) -> str:
    """Return what becomes of images of the classes or labels that are left out."""
    if not proposal.survey.label_sets:
        return "Such images are left out." if proposal.labels else ""
    left_out = any(line.key in ("min_count", "leave_out") for line in proposal.labels)
    return "An image of labels that are left out counts as one without them." if left_out else ""
