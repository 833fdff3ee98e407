"""Masks, overlays and thumbnails among their images are refused with a way out that works; all else is kept."""

import doctest
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.data.listing.exclude import Exclusion
from medray.data.listing.listing import Listing
from medray.data.listing.side_cars import side_words
from medray.data.listing.side_cars.check_side_cars import find_side_cars
from medray.data.listing.side_cars.patterns import find_patterns
from medray.data.listing.side_cars.side_words import SIDE_WORDS, split_words
from medray.errors import SideCarError
from tests.data.listing.folders.folder_trees import grow, labels, listed, refusal


def way_out(message: str) -> str:
    """The option of `exclude` that a refusal names."""
    match = re.search(r"`\?(exclude=[^`]+)` behind the source", message)
    assert match, message
    return match[1]


def refused_then_listed(root: Path, files: Iterable[str], *fragments: str, source: str = "") -> Listing:
    """What is listed with the option that the refusal names; with `side_cars=keep` all is listed."""
    root = grow(root, files)
    message = refusal(lambda: listed(f"{root}{source}"), *fragments)
    mark = "&" if source else "?"
    kept = listed(f"{root}{source}{mark}side_cars=keep")
    listing = listed(f"{root}?{way_out(message)}")
    assert len(listing) < len(kept)
    assert any(note.startswith("kept by side_cars: ") for note in kept.notes)
    return listing


def test_the_examples_do_what_they_say() -> None:
    results = doctest.testmod(side_words)
    assert results.attempted
    assert not results.failed


# -- beside their images


def test_masks_beside_their_images_as_breast_ultrasound_sets_have_them(tmp_path: Path) -> None:
    images = [f"{name}/{name} ({n}).png" for name in ("benign", "malignant", "normal") for n in range(1, 13)]
    masks = [path.replace(".png", "_mask.png") for path in images]
    more = [path.replace(".png", "_mask_1.png") for path in images if "(3)" in path]
    listing = refused_then_listed(
        tmp_path,
        images + masks + more,
        "39 images lie beside the images that they are made from",
        "as 'benign/benign (1)_mask.png' beside 'benign/benign (1).png'",
        "`?exclude=*_mask*` behind the source leaves such files out; `?side_cars=keep` keeps them as images",
    )
    assert sorted(labels(listing)) == sorted(images)


@pytest.mark.parametrize(
    ("image", "side_cars", "option"),
    [
        ("ISIC_0012345.jpg", ["ISIC_0012345_segmentation.png"], "*_segmentation*"),
        ("ISIC_0012345.jpg", ["ISIC_0012345_superpixels.png"], "*_superpixels*"),
        ("ISIC_0012345.jpg", ["ISIC_0012345_attribute_globules.png"], "*_attribute*"),
        ("img1.png", ["img1-mask.png", "img1-mask-2.png"], "*-mask*"),
        ("img1.png", ["img1Mask.png"], "*Mask.png"),
        ("img1.png", ["img1mask.png"], "*mask.png"),
        ("img1.png", ["img1.mask.png", "img1.overlay.png"], "*.mask*,*.overlay*"),
        ("img1.png", ["mask_img1.png"], "mask_*"),
        ("img1.png", ["seg-img1.png"], "seg-*"),
        ("IMG_0001.JPG", ["img_0001_GroundTruth.bmp"], "*_GroundTruth*"),
        ("img_0001.png", ["img_0001_ground_truth.png"], "*_ground_truth*"),
        ("train_7.png", ["train_mask_7.png"], "*_mask*"),
        ("case1.png", ["case1_left_lung_mask.png"], "*_mask*"),
        ("a b.tif", ["a b annotated (2).tif"], "* annotated*"),
        ("1.png", ["1_thumb.jpg", "1_thumbnail.jpg"], "*_thumb*"),
        ("1.png", ["label 1.png"], "label *"),
        ("1.dcm", ["1_heatmap.png"], "*_heatmap*"),
        ("p1, 1.png", ["p1, 1, mask.png"], "* mask*"),
    ],
)
def test_names_of_side_cars(tmp_path: Path, image: str, side_cars: list[str], option: str) -> None:
    files = [f"a/{name}" for name in (image, *side_cars)]
    message = refusal(
        lambda: listed(grow(tmp_path, [*files, "b/x.png"])), f"?exclude={option}` behind", f"beside 'a/{image}'"
    )
    assert ("an image lies" in message) == (len(side_cars) == 1)
    assert list(labels(listed(f"{tmp_path}?{way_out(message)}"))) == [f"a/{image}", "b/x.png"]
    kept = listed(f"{tmp_path}?side_cars=keep")
    assert len(kept) == len(files) + 1


@pytest.mark.parametrize(
    ("others", "option"),
    [
        (["a/x_mask.png", "b/1.png"], "1_mask.png"),  # a mask of no image here is kept
        (["with_mask/1.png", "b/1.png"], "*_mask.png"),  # so is a class that the pattern would fit
        (["b/1_mask.png", "b/2.png"], "a/*_mask*"),
        (["a/x_mask.png", "b/1_mask.png"], "a/1_mask.png"),
    ],
)
def test_the_pattern_leaves_out_nothing_else(tmp_path: Path, others: list[str], option: str) -> None:
    grow(tmp_path, ["a/1.png", "a/1_mask.png", *others])
    message = refusal(lambda: listed(tmp_path), "an image lies", f"`?exclude={option}` behind")
    assert sorted(labels(listed(f"{tmp_path}?{way_out(message)}"))) == sorted(["a/1.png", *others])


@pytest.mark.parametrize(
    "files",
    [
        ["with_mask/0-with-mask.jpg", "with_mask/1-with-mask.jpg", "without_mask/0.jpg", "without_mask/1.jpg"],
        ["with_mask/1.jpg", "with_mask/1 with mask.jpg", "without_mask/2.jpg", "without_mask/2 no mask.jpg"],
        ["mask/mask.png", "mask/mask_1.png", "mask/mask (2).png", "bare/1.png", "bare/2.png"],
        ["mask/1.png", "mask/2.png", "bare/1.png", "bare/2.png", "beard/1.png", "beard/2.png"],
        ["label/1.png", "no label/1.png"],
        ["a/1.png", "a/2_mask.png", "b/1.png"],  # a mask, perhaps, but of no image here
        ["a/img_1.png", "a/img_11_mask.png", "b/img_11.png"],
        ["a/1.png", "a/1.jpg", "a/2.jpg", "b/1.png", "b/1.jpg"],  # numbered by suffix
        ["a/gt/1.png", "a/gt/2.png", "b/1.png"],
        ["a/p1/1.png", "a/p2/1.png", "b/p3/1.png"],
        ["seg/1.png", "roi/2.png", "mask/3.png"],
        ["a/+.png", "a/mask.png", "a/thumb.png", "b/-.png"],
    ],
)
def test_what_is_no_side_car(tmp_path: Path, files: list[str]) -> None:
    assert len(listed(grow(tmp_path, files))) == len(files)


def test_images_in_two_formats_are_refused(tmp_path: Path) -> None:
    files = [f"{'ab'[n % 2]}/{n}.{suffix}" for n in range(12) for suffix in ("jpg", "png")]
    message = refusal(
        lambda: listed(grow(tmp_path, files)), "12 images lie beside ones of the same name in another format"
    )
    assert all(where.endswith(".jpg") for where in labels(listed(f"{tmp_path}?{way_out(message)}")))


# -- in folders


@pytest.mark.parametrize(
    "name", ["masks", "Segmentation", "lung masks", "GT", "ground_truth", "annotations", "labels"]
)
def test_folders_of_masks_below_classes(tmp_path: Path, name: str) -> None:
    files = [f"{kind}/{folder}/{n}.png" for kind in ("a", "b") for folder in ("images", name) for n in range(3)]
    listing = refused_then_listed(
        tmp_path, files, f"6 images lie in folders of masks or the like, as 'a/{name}/0.png'"
    )
    assert len(listing) == 6
    assert all("/images/" in where for where in labels(listing))


@pytest.mark.parametrize(
    ("files", "fragment"),
    [
        (["benign/x1.png", "benign_mask/x1.png", "normal/x1.png", "normal_mask/x1_mask.png"], "'benign_mask, normal_mask' beside 'benign, normal'"),
        (["benign/1.png", "normal/1.png", "masks/benign/1.png", "masks/normal/1.png"], "'masks' beside 'benign, normal'"),
        (["benign/b1.png", "normal/n1.png", "masks/b1_mask.png", "masks/n1_mask.png"], "'masks' beside 'benign, normal'"),
        (["train/a/a1.png", "train/b/b1.png", "train/gt/a1.png", "train/gt/b1.png"], "'gt' beside 'a, b'"),
    ],
)  # fmt: skip
def test_folders_of_masks_beside_classes(tmp_path: Path, files: list[str], fragment: str) -> None:
    listing = refused_then_listed(tmp_path, files, fragment, "look like masks of images, and not like classes")
    assert sorted(set(labels(listing).values())) in (["benign", "normal"], ["a", "b"])


def test_images_and_masks_are_no_two_classes(tmp_path: Path) -> None:
    grow(tmp_path, [f"{folder}/{n}.png" for folder in ("images", "masks") for n in range(3)])
    refusal(lambda: listed(tmp_path), "'masks' beside 'images' look like masks", "name their classes in a table")
    assert len(listed(f"{tmp_path}?side_cars=keep")) == 6


def test_classes_below_images_are_named(tmp_path: Path) -> None:
    grow(
        tmp_path,
        [f"{folder}/{kind}/{kind}{n}.png" for folder in ("imgs", "GroundTruth") for kind in "ab" for n in "12"],
    )
    message = refusal(lambda: listed(tmp_path), "'GroundTruth', 'imgs' look like kinds of files")
    match = re.search(r"name one of them, as '([^']+imgs)'", message)
    assert match
    assert len(listed(match[1])) == 4


# -- tables


def test_rows_of_a_table_that_name_masks(tmp_path: Path) -> None:
    names = [f"{n}{end}.png" for n in range(6) for end in ("", "_mask")]
    grow(tmp_path, [f"images/{name}" for name in names])
    rows = "".join(f"{name},{'ab'[int(name[0]) % 2]}\n" for name in names)
    table = grow(tmp_path, {"t.csv": f"file,label\n{rows}"}) / "t.csv"
    message = refusal(
        lambda: listed(table, "csv"), "6 images lie beside", "'images/0_mask.png' beside 'images/0.png'"
    )
    assert len(listed(f"{table}?{way_out(message)}", "csv")) == 6
    assert len(listed(f"{table}?side_cars=keep", "csv")) == 12
    # of another label it is an image of its own; without a row it is none at all
    grow(tmp_path, {"t.csv": "file,label\n" + "".join(f"{n},{'ab'['mask' in n]}\n" for n in names)})
    assert len(listed(table, "csv")) == 12
    grow(tmp_path, {"t.csv": "file,label\n" + "".join(f"{n},{'ab'[n > '3']}\n" for n in names if "m" not in n)})
    assert len(listed(table, "csv")) == 6


# -- for all names

WORDS = sorted(SIDE_WORDS)
#: Stems of which none is another with a side word: they have none.
STEMS = st.lists(
    st.from_regex(r"[a-zé]{1,5}[ _.-]?\(?[0-9]{0,3}\)?", fullmatch=True).filter(
        lambda stem: not any(word.removesuffix("s") in SIDE_WORDS for word in split_words(stem))
    ),
    min_size=4, max_size=8, unique_by=lambda stem: "".join(split_words(stem)),
)  # fmt: skip
SUFFIXES = st.sampled_from([".png", ".jpg", ".TIF"])


@st.composite
def made_names(draw: st.DrawFn, stem: str) -> str:
    """The name of a side-car of an image: a word behind it or before it, with any separator and case."""
    word = draw(st.sampled_from(WORDS).flatmap(lambda w: st.sampled_from([w, w.upper(), w.title(), f"{w}s"])))
    separator = draw(st.sampled_from(["_", "-", " ", ".", " - "]))
    number = draw(st.sampled_from(["", "_1", " (2)", "_left"]))
    suffix = draw(SUFFIXES)
    return draw(st.sampled_from([f"{stem}{separator}{word}{number}{suffix}", f"{word}{separator}{stem}{suffix}"]))


@given(STEMS, st.data())
def test_side_cars_are_all_known_and_left_out_alone(stems: list[str], data: st.DataObject) -> None:
    images = [f"{'ab'[n % 2]}/{stem}{data.draw(SUFFIXES)}" for n, stem in enumerate(stems)]
    of = data.draw(st.lists(st.sampled_from(range(len(stems))), min_size=1, max_size=3))
    side_cars = [f"{images[n].partition('/')[0]}/{data.draw(made_names(stems[n]))}" for n in of]
    paths: Sequence[str] = sorted({*images, *side_cars})
    assert {side_car.path for side_car in find_side_cars(paths, 1)} == {*side_cars}
    patterns = find_patterns(find_side_cars(paths, 1), paths)
    assert Exclusion.parse(",".join(patterns)).left_out(paths) == {*side_cars}


@given(STEMS, st.data())
def test_images_with_names_of_their_own_are_all_kept(stems: list[str], data: st.DataObject) -> None:
    """Also where each of a class has a side word, such as cam_1.png, cam_2.png."""
    word, separator = data.draw(st.sampled_from(WORDS)), data.draw(st.sampled_from(["_", " ", "-"]))
    paths = [f"a/{stem}.png" for stem in stems] + [f"{word}/{stem}{separator}{word}.png" for stem in stems]
    assert find_side_cars(paths, 1) == []


def test_the_error_keeps_its_way_out(tmp_path: Path) -> None:
    grow(tmp_path, ["a/1.png", "a/1_mask.png", "b/1.png", "b/2.png", "c/1.png"])
    with pytest.raises(SideCarError) as caught:
        listed(f"{tmp_path}?exclude=c")
    assert (caught.value.exclude, caught.value.count, caught.value.example) == ("c,*_mask*", 1, "a/1_mask.png")
    refusal(
        lambda: listed(f"{tmp_path}?exclude=*mask*&side_cars=yes"), "unknown value of side_cars 'yes'; valid: keep"
    )


@pytest.mark.parametrize(
    ("image", "mask"),
    [("{}_img", "{}_mask"), ("{}_image", "{}_segmentation"), ("img_{}", "mask_{}"), ("Image{}", "Label{}"),
     ("{}-raw", "{}-gt"), ("frame_{}_orig", "frame_{}_seg"), ("scan{}", "scan{}_seg")],
)  # fmt: skip
def test_images_and_masks_may_both_be_called_so(tmp_path: Path, image: str, mask: str) -> None:
    files = [f"{c}/{form.format(n)}.png" for c in "ab" for n in range(1, 5) for form in (image, mask)]
    listing = refused_then_listed(tmp_path, files, "8 images lie beside the images that they are made from")
    assert {*labels(listing)} == {f"{c}/{image.format(n)}.png" for c in "ab" for n in range(1, 5)}


@pytest.mark.parametrize("word", ["no", "with", "non"])
def test_an_image_may_be_called_by_a_word_that_is_no_mask_elsewhere(tmp_path: Path, word: str) -> None:
    listing = refused_then_listed(
        tmp_path, [f"a/{word}.png", f"a/{word}_mask.png", "a/2.png", "b/3.png"], "an image lies"
    )
    assert {*labels(listing)} == {f"a/{word}.png", "a/2.png", "b/3.png"}
    without = [f"a/x {word}_mask.png", "a/2.png", "b/3.png"]
    assert len(listed(grow(tmp_path / "faces", without))) == 3
