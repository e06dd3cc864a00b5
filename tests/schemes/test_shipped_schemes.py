"""The shipped schemes against tables written by hand: flips, sizes, which points mean the same."""

from __future__ import annotations

import numpy as np
import pytest

from tufa_cli.errors import UnknownNameError
from tufa_cli.schemes import builtin_plane, get_scheme, scheme_names
from tufa_cli.schemes.meanshapes import builtin_shapes
from tufa_cli.schemes.parts import canonical, load_parts, mirrored, same

SIZES = {
    "aflw19": 19,
    "aflw21": 21,
    "cofw29": 29,
    "ibug68": 68,
    "mediapipe468": 468,
    "mtfl5": 5,
    "scut86": 86,
    "wflw98": 98,
}

#: Pairs that change places in a mirrored photo, as users of the datasets know them.
FLIPS = {
    "ibug68": [(i, 16 - i) for i in range(8)]
    + [(17, 26), (18, 25), (19, 24), (20, 23), (21, 22), (31, 35), (32, 34)]
    + [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    + [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)],
    "wflw98": [(i, 32 - i) for i in range(16)]
    + [(33, 46), (34, 45), (35, 44), (36, 43), (37, 42), (38, 50), (39, 49), (40, 48), (41, 47)]
    + [(55, 59), (56, 58), (60, 72), (61, 71), (62, 70), (63, 69), (64, 68)]
    + [(65, 75), (66, 74), (67, 73), (76, 82), (77, 81), (78, 80), (83, 87), (84, 86)]
    + [(88, 92), (89, 91), (93, 95), (96, 97)],
    "cofw29": [
        *[(0, 1), (2, 3), (4, 6), (5, 7), (8, 9), (10, 11), (12, 14), (13, 15)],
        *[(16, 17), (18, 19), (22, 23)],
    ],
    "aflw21": [(0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9), (12, 16), (13, 15), (17, 19)],
    "aflw19": [(0, 5), (1, 4), (2, 3), (6, 11), (7, 10), (8, 9), (12, 14), (15, 17)],
    "mtfl5": [(0, 1), (3, 4)],
    "scut86": [(i, 22 - i) for i in range(1, 11)]
    + [(22 + i, 36 - i) for i in range(5)]
    + [(27 + i, 41 - i) for i in range(5)]
    + [(42 + i, 54 - i) for i in range(5)]
    + [(47, 57), (48, 56), (49, 55), (58, 59)]
    + [(60 + i, 72 - i) for i in range(6)]
    + [(73, 79), (74, 78), (75, 77), (80, 85), (81, 84), (82, 83)],
}

#: Of the mesh, pairs that every user of it knows: corners, brows, mouth, the oval, the cheeks.
SOME_FLIPS = {
    "mediapipe468": [
        *[(33, 263), (133, 362), (159, 386), (145, 374), (70, 300), (107, 336), (61, 291)],
        *[(78, 308), (234, 454), (127, 356), (172, 397), (98, 327), (50, 280), (205, 425)],
        *[(i, i) for i in (0, 1, 4, 10, 13, 14, 17, 152, 168)],
    ],
}

#: Points that mean the same: one row a place, index by scheme.
SAME = [
    {"ibug68": 36, "wflw98": 60, "cofw29": 8, "aflw21": 6, "aflw19": 6, "scut86": 46},
    {"ibug68": 39, "wflw98": 64, "cofw29": 10, "aflw21": 8, "aflw19": 8, "scut86": 42},
    {"ibug68": 42, "wflw98": 68, "cofw29": 11, "aflw21": 9, "aflw19": 9, "scut86": 54},
    {"ibug68": 45, "wflw98": 72, "cofw29": 9, "aflw21": 11, "aflw19": 11, "scut86": 50},
    {"wflw98": 96, "cofw29": 16, "aflw21": 7, "aflw19": 7, "scut86": 58, "mtfl5": 0},
    {"wflw98": 97, "cofw29": 17, "aflw21": 10, "aflw19": 10, "scut86": 59, "mtfl5": 1},
    {"ibug68": 30, "wflw98": 54, "cofw29": 20, "aflw21": 14, "aflw19": 13, "mtfl5": 2},
    {"ibug68": 33, "wflw98": 57, "cofw29": 21, "scut86": 66},
    {"ibug68": 48, "wflw98": 76, "cofw29": 22, "aflw21": 17, "scut86": 79, "mtfl5": 3},
    {"ibug68": 54, "wflw98": 82, "cofw29": 23, "aflw21": 19, "scut86": 73, "mtfl5": 4},
    {"ibug68": 51, "wflw98": 79, "cofw29": 24, "scut86": 76},
    {"ibug68": 62, "wflw98": 90, "cofw29": 25},
    {"ibug68": 66, "wflw98": 94, "cofw29": 26},
    {"ibug68": 57, "wflw98": 85, "cofw29": 27},
    {"ibug68": 17, "wflw98": 33, "cofw29": 0, "aflw21": 0, "aflw19": 0},
    {"ibug68": 26, "wflw98": 46, "cofw29": 1, "aflw21": 5, "aflw19": 5},
    {"ibug68": 21, "cofw29": 2, "aflw21": 2, "aflw19": 2},
    {"ibug68": 22, "cofw29": 3, "aflw21": 3, "aflw19": 3},
    {"wflw98": 35, "cofw29": 4, "scut86": 24},
    {"wflw98": 40, "cofw29": 5, "scut86": 29},
    {"wflw98": 62, "cofw29": 12, "scut86": 44},
    {"wflw98": 66, "cofw29": 13, "scut86": 48},
    {"ibug68": 0, "wflw98": 0},
    {"ibug68": 16, "wflw98": 32},
    {"ibug68": 8, "wflw98": 16, "cofw29": 28, "aflw21": 20, "aflw19": 18, "scut86": 11},
    {"cofw29": 18, "aflw21": 13, "aflw19": 12, "scut86": 64},
    {"cofw29": 19, "aflw21": 15, "aflw19": 14, "scut86": 68},
]
SAME_68_98 = (
    [(i, 2 * i) for i in range(17)]
    + [(17, 33), (20, 36), (23, 43), (26, 46)]
    + list(zip(range(27, 36), range(51, 60), strict=True))
    + [(36, 60), (39, 64), (42, 68), (45, 72)]
    # of the lips corners and middles; ibug68's other points lie closer to the middle
    + [(48, 76), (51, 79), (54, 82), (57, 85), (60, 88), (62, 90), (64, 92), (66, 94)]
)

ALL = pytest.mark.parametrize("name", sorted(SIZES))


def test_these_schemes_ship():
    assert scheme_names() == sorted(SIZES)


@ALL
def test_size_names_and_source(name):
    scheme = get_scheme(name)
    assert len(scheme) == SIZES[name] == len(set(scheme.names)) == len(set(scheme.meanings))
    assert scheme.source.startswith("https://")
    assert sorted(i for members in scheme.groups.values() for i in members) == list(
        range(len(scheme))
    )


@ALL
def test_flip_equals_the_table_and_is_its_own_inverse(name):
    scheme = get_scheme(name)
    for a, b in SOME_FLIPS.get(name, ()):
        assert (scheme.flip[a], scheme.flip[b]) == (b, a)
    expected = list(range(len(scheme)))
    for a, b in FLIPS.get(name, ()):
        expected[a], expected[b] = b, a
    assert name in SOME_FLIPS or list(scheme.flip) == expected
    assert (scheme.flip_index[scheme.flip_index] == np.arange(len(scheme))).all()


@ALL
def test_skeleton_is_symmetric_and_short(name):
    scheme, points = get_scheme(name), builtin_plane()[name]
    edges = {frozenset(edge) for edge in scheme.skeleton}
    assert {frozenset(scheme.flip[i] for i in edge) for edge in edges} == edges
    assert len(edges) == len(scheme.skeleton)
    lengths = [np.linalg.norm(points[a] - points[b]) for a, b in scheme.skeleton]
    assert max(lengths, default=0) < 0.21


@pytest.mark.parametrize("row", SAME, ids=lambda row: " ".join(f"{k}:{v}" for k, v in row.items()))
def test_points_that_mean_the_same(row):
    meanings = {get_scheme(name).meanings[index] for name, index in row.items()}
    assert len(meanings) == 1


def test_points_shared_by_68_and_98():
    found = set(get_scheme("ibug68").shared_with(get_scheme("wflw98")))
    assert found == set(SAME_68_98)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("300w", "ibug68"),
        ("wflw", "wflw98"),
        ("WFLW", "wflw98"),
        ("cofw", "cofw29"),
        ("aflw", "aflw19"),
        ("scut", "scut86"),
        ("mtfl", "mtfl5"),
    ],
)
def test_aliases(alias, name):
    assert get_scheme(alias) is get_scheme(name)


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("ibug68", (36, 45)),
        ("wflw98", (60, 72)),
        ("cofw29", (8, 9)),
        ("scut86", (46, 50)),
        ("mtfl5", (0, 1)),
        ("aflw21", None),
        ("aflw19", None),
    ],
)
def test_normaliser(name, pair):
    assert get_scheme(name).normaliser == pair


def test_unknown_scheme_offers_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean .*wflw98"):
        get_scheme("wlfw98")


def test_mirrored_twice_is_the_same_place():
    for part in load_parts().values():
        for t in (0.0, 0.2, 0.5, 1.0) if part.is_curve else (0.0,):
            place = canonical(part.name, t)
            assert same(mirrored(mirrored(place)), place)


def test_named_points_on_curves_are_places_on_them():
    assert canonical("chin") == canonical("jaw", 0.5)
    assert canonical("jaw", 0) == canonical("jaw_left_end")
    assert canonical("left_brow", 1) == canonical("left_brow_inner")
    assert mirrored(canonical("jaw", 0.2)) == canonical("jaw", 0.8)
    assert mirrored(canonical("nose_bridge", 0.4)) == canonical("nose_bridge", 0.4)
    assert mirrored(canonical("left_eye_upper", 0.4)) == canonical("right_eye_upper", 0.4)


@pytest.mark.parametrize("name", sorted(builtin_shapes()))
def test_flipping_the_mean_shape_mirrors_it(name):
    """People's labels are nearly symmetric: within 2.5 % of the face, on average under 1 %."""
    points = builtin_shapes()[name].points
    mirror = points[get_scheme(name).flip_index] * (-1, 1)
    off = np.linalg.norm(mirror - points, axis=1) / np.ptp(points, axis=0).max()
    assert off.max() < 0.025
    assert off.mean() < 0.01
