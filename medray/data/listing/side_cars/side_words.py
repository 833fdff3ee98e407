"""Read the words in file and folder names that say "made from an image": mask, overlay, thumbnail and the like."""

import re
import unicodedata
from collections.abc import Iterator

#: In the singular and lower case; what a person or program makes of an image, and stores beside it.
SIDE_WORDS = frozenset({
    "anno", "annot", "annotated", "annotation", "attribute", "bbox", "binary", "boundarie", "boundary",
    "boundingbox", "cam", "contour", "delineation", "gradcam", "groundtruth", "gt", "heatmap", "keypoint",
    "label", "labeled", "labelled", "labelmap", "landmark", "lbl", "manual", "mascara", "mask", "maske",
    "masked", "masken", "masque", "matte", "outline", "overlaid", "overlay", "pred", "prediction", "preview",
    "probmap", "roi", "saliency", "seg", "segm", "segmentation", "segmented", "segmentierung", "silhouette",
    "superpixel", "thumb", "thumbnail", "trimap",
})  # fmt: skip
#: Before such a word they make it a property of what the image shows: a face "with mask".
_PROPERTIES = frozenset({"with", "without", "no", "not", "non"})
#: Words that name a folder of images as such, and no class.
_IMAGE_WORDS = frozenset({
    "data", "frame", "image", "img", "imgs", "input", "jpeg", "jpg", "original", "orig", "photo", "picture", "png",
    "raw", "scan", "slice", "film",
})  # fmt: skip
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PHRASE = re.compile(r"(ground|heat|bounding|super|label)[\W_]*(truth|map|box|pixel)", re.IGNORECASE)
_ANY = re.compile(f"truth|map|box|pixel|{'|'.join(sorted(SIDE_WORDS))}", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+|\d+")

Words = tuple[str, ...]


def split_words(name: str) -> Words:
    """Return the words and numbers of a name in order, case folded: also of img1Mask and GroundTruth.

    >>> split_words("benign (1)_mask_1"), split_words("img1GroundTruth")
    (('benign', '1', 'mask', '1'), ('img', '1', 'groundtruth'))
    """
    spaced = _CAMEL.sub(" ", unicodedata.normalize("NFC", name))
    return tuple(_WORD.findall(_PHRASE.sub(r" \1\2", spaced).casefold()))


def side_positions(words: Words) -> list[int]:
    """Return the positions of the side words among the words of a name."""
    return [
        position
        for position, word in enumerate(words)
        if _singular(word) in SIDE_WORDS and not (position and words[position - 1] in _PROPERTIES)
    ]


def may_be_side_name(name: str) -> bool:
    """Return whether a name holds the letters of a side word, perhaps within another: a fast look before any."""
    return _ANY.search(name) is not None


def is_side_name(name: str) -> bool:
    """Return whether the name of a folder has a side word."""
    return bool(side_positions(split_words(name)))


def image_words(words: Words) -> list[int]:
    """Return the positions of words that say "images", and nothing of a class."""
    return [position for position, word in enumerate(words) if _singular(word) in _IMAGE_WORDS]


def is_image_name(name: str) -> bool:
    """Return whether the name of a folder says that it holds images, whatever their class."""
    return bool(image_words(split_words(name)))


def key_of(words: Words) -> str:
    """Return a key that names share which differ in case, separators and spaces only; numbers stay apart."""
    return "".join(f" {word} " if word.isdigit() else word for word in words)


def image_keys(words: Words) -> Iterator[str]:
    """Return the keys of the names whose side-car this name may be, the likeliest first.

    The side word stands behind the image's name (with anything behind it, and up to two words between them),
    before it, perhaps with a number, or within it.
    """
    positions = side_positions(words)
    #: Of no_mask only an image that is called just "no" makes a side-car.
    names = [words[:at] for at, word in enumerate(words) if at and _singular(word) in SIDE_WORDS]
    for at in positions:
        before, behind = words[:at], words[at + 1 :]
        names += [before[:-n] for n in (1, 2) if not any(word.isdigit() for word in before[-n:])]
        names.append(before + behind)
        if all(position in positions for position in range(at)):
            names += [behind, behind[1:]] if behind and behind[0].isdigit() else [behind]
    if positions:
        names.append(tuple(word for at, word in enumerate(words) if at not in positions))
    return (key_of(name) for name in names if name)


def _singular(word: str) -> str:
    return word.removesuffix("s")
