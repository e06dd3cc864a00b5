"""Subsets by folder and by list."""

import pytest

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.evaluation.subsets import MOST_FOLDERS, folder_subsets, listed_subsets


def photos(*paths):
    return [AnnotatedImage(path, root="/data") for path in paths]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/1.jpg", "b/2.jpg", "a/c/3.jpg"], ["a", "b", "a"]),
        (["a/1.jpg", "b/2.jpg", "3.jpg"], ["a", "b", None]),
        (["a/1.jpg", "a/2.jpg"], [None, None]),  # one folder is the whole
        (["1.jpg", "2.jpg"], [None, None]),
        (["../a/1.jpg", "../b/2.jpg"], ["a", "b"]),
    ],
)
def test_folders_are_subsets_when_there_are_several(paths, expected):
    assert folder_subsets(photos(*paths)) == [frozenset([f] if f else []) for f in expected]


def test_too_many_folders_are_no_subsets():
    paths = [f"{i}/a.jpg" for i in range(MOST_FOLDERS + 1)]
    assert not any(folder_subsets(photos(*paths)))


def test_lists_may_overlap_and_count_what_they_name_in_vain():
    images = photos("x/1.jpg", "x/2.jpg", "y/3.jpg")
    members, in_vain = listed_subsets(images, {"odd": {"1.jpg", "3"}, "x": {"1", "2", "9"}})
    assert members == [frozenset({"odd", "x"}), frozenset({"x"}), frozenset({"odd"})]
    assert in_vain == {"odd": 0, "x": 1}
