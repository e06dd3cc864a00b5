"""Lists of photo names pick exactly the photos they name."""

import pytest

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.errors import InputError, TufaError
from tufa_cli.selection import read_name_list, select

PATHS = ["afw/one_1.jpg", "afw/two.png", "helen/one_1.jpg", "lfpw/three.jpg"]


def photos(paths, root="/data/set"):
    return [AnnotatedImage(path, root=root) for path in paths]


def names(selection):
    return [image.path for image in selection.chosen]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("afw/one_1.jpg", ["afw/one_1.jpg"]),
        ("afw\\one_1.jpg", ["afw/one_1.jpg"]),
        ("./afw/one_1.jpg", ["afw/one_1.jpg"]),
        ("set/afw/one_1.jpg", ["afw/one_1.jpg"]),
        ("/data/set/afw/one_1.jpg", ["afw/one_1.jpg"]),
        ("two.png", ["afw/two.png"]),
        ("two", ["afw/two.png"]),
        ("afw/two", ["afw/two.png"]),
        ("fw/two.png", []),
        ("wo.png", []),
        ("two.jpg", []),
        ("TWO.png", []),
        ("other/afw/two.png", []),
    ],
)
def test_a_line_names_a_photo_by_its_path_or_the_end_of_it(line, expected):
    selection = select(photos(PATHS), {line})
    assert names(selection) == expected
    assert selection.unmatched == ([] if expected else [line])


def test_a_list_of_the_dataset_serves_a_source_one_folder_below():
    below = photos(["one_1.jpg", "two.png"], root="/data/set/afw")
    assert names(select(below, {"afw/one_1.jpg", "helen/one_1.jpg"})) == ["one_1.jpg"]


def test_a_photo_beside_the_labels_is_found_through_dots():
    selection = select(photos(["../photos/a.jpg"], "/data/labels"), {"photos/a.jpg"})
    assert names(selection) == ["../photos/a.jpg"]


@pytest.mark.parametrize("line", ["one_1.jpg", "one_1"])
def test_a_line_that_names_two_photos_is_an_error(line):
    with pytest.raises(TufaError, match="names 2 photos"):
        select(photos(PATHS), None, {line})


def test_the_exact_path_wins_over_the_end_of_another():
    paths = ["a.jpg", "sub/a.jpg", "b.jpg", "b.jpg.png"]
    assert names(select(photos(paths), {"a.jpg", "b.jpg"})) == ["a.jpg", "b.jpg"]


def test_two_extensions_of_one_stem_are_told_apart_only_by_the_full_name():
    two = photos(["x/a.jpg", "x/a.png"])
    assert names(select(two, {"a.png"})) == ["x/a.png"]
    with pytest.raises(TufaError, match="names 2 photos"):
        select(two, {"a"})


def test_include_exclude_order_and_repeats():
    images = photos([*PATHS, "afw/two.png"])
    assert names(select(images)) == [*PATHS, "afw/two.png"]
    assert names(select(images, {"two", "three"}, {"three.jpg"})) == ["afw/two.png"] * 2
    assert names(select(images, None, {"two"})) == ["afw/one_1.jpg", *PATHS[2:]]


def test_names_in_vain_are_told_with_a_count():
    selection = select(photos(PATHS), {"two", "p", "q", "r"}, {"t"})
    assert selection.unmatched == ["p", "q", "r", "t"]
    assert selection.warning() == "4 listed names matched no photo: p, q, r, …"
    assert select(photos(PATHS), {"two"}).warning() is None


def test_accents_compose_either_way():
    assert len(select(photos(["Jose\u0301.jpg"]), {"Jos\u00e9.jpg"}).chosen) == 1


def test_reading_a_list(tmp_path):
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeffa b.jpg\r\n\r\n  c.jpg \n".encode())
    assert read_name_list(file) == {"a b.jpg", "c.jpg"}


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00bad", None])
def test_a_bad_list_is_the_users_error(tmp_path, content):
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError):
        read_name_list(file)


def test_a_selection_is_its_photos():
    selection = select(photos(PATHS), {"two", "three"})
    assert [image.path for image in selection] == names(selection)
    assert len(selection) == 2
    assert len(select(selection, None, {"two"})) == 1
