"""Notice augmented copies by their file names: 1_flip.png beside 1.png."""

import re
from collections import defaultdict
from collections.abc import Sequence

from medray.data.listing.exclude import Exclusion
from medray.data.listing.side_cars.check_side_cars import stem_of
from medray.data.listing.side_cars.side_words import Words, key_of, split_words
from medray.data.source import EXCLUDE
from medray.errors import printable

#: Words, in a name beside that of an image, for what a program makes of it so as to have more images.
_COPY_WORDS = frozenset({
    "aug", "augmented", "augmentation", "flip", "flipped", "hflip", "vflip", "fliplr", "flipud", "rot", "rotate",
    "rotated", "rotation", "mirror", "mirrored", "shear", "sheared", "zoom", "zoomed", "noise", "noisy", "blur",
    "blurred", "bright", "brightness", "dark", "contrast", "clahe", "gamma", "crop", "cropped", "shift", "shifted",
    "translated", "elastic", "jitter", "sharpened", "equalized", "enhanced", "copy", "kopie", "copia", "copie",
})  # fmt: skip
_ANY = re.compile("|".join(sorted(_COPY_WORDS)), re.IGNORECASE)
MOST_WORDS = 6  # that a line names


def note_copies(paths: Sequence[str]) -> list[str]:
    """Return a note on the files that are called as another of their folder and a word for a copy.

    It names the option that leaves them out, if patterns of the words fit no other file.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folders[path.rpartition("/")[0]].append(path)
    originals: dict[str, str] = {}
    words_used: dict[str, None] = {}
    for members in folders.values():
        candidates = [path for path in members if _ANY.search(path.rpartition("/")[2])]
        if not candidates or len(candidates) == len(members):
            continue
        keys = {key_of(split_words(stem_of(path))): path for path in members}
        for path in candidates:
            for word, name in _names_of_original(split_words(stem_of(path))):
                if keys.get(key_of(name), path) != path:
                    originals[path] = keys[key_of(name)]
                    words_used[word] = None
                    break
    if not originals:
        return []
    copy, original = next(iter(originals.items()))
    patterns = ",".join(f"*{word}*" for word in words_used)
    fits = Exclusion.parse(patterns).left_out(paths) == {*originals} and len(words_used) <= MOST_WORDS
    way = f"`?{EXCLUDE}={patterns}` behind the source leaves them out" if fits else "leave them out"
    words, example = ", ".join(words_used), f"'{printable(copy)}' beside '{printable(original)}'"
    return [
        f"copies: {len(originals):,} files are called as another and a word for a copy ({words}), as {example}; "
        f"they may stand in another split than it: {way}"
    ]


def _names_of_original(words: Words) -> list[tuple[str, Words]]:
    """Return the words of the names whose copy this name may be, each with the word that says so."""
    names = []
    for at, word in enumerate(words):
        if word in _COPY_WORDS:
            names += [(word, words[:at]), (word, words[at + 1 :]), (word, words[at + 2 :])]
    return [(word, name) for word, name in names if name]
