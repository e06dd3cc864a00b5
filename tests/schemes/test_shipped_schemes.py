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
    "aflw_ears": 4,
    "bioid20": 20,
    "clm71": 71,
    "cofw29": 29,
    "dense314": 314,
    "ibug51": 51,
    "ibug68": 68,
    "insightface106": 106,
    "lapa106": 106,
    "mediapipe468": 468,
    "mtfl5": 5,
    "muct68": 68,
    "muct76": 76,
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
    "muct68": [(i, 14 - i) for i in range(7)]
    + [(15 + i, 21 + i) for i in range(6)]
    + [(27 + i, 32 + i) for i in range(5)]
    + [(37, 45), (38, 44), (39, 43), (40, 42), (46, 47), (48, 54), (49, 53), (50, 52)]
    + [(55, 59), (56, 58), (60, 62), (63, 65)],
    "clm71": [(i, 14 - i) for i in range(7)]
    + [(15, 19), (16, 20), (17, 21), (18, 22), (34, 40), (35, 39), (36, 38), (42, 43)]
    + [(23, 28), (24, 29), (25, 30), (26, 31), (27, 32), (63, 67), (64, 68), (65, 69), (66, 70)]
    + [(44, 50), (45, 49), (46, 48), (51, 55), (52, 54), (56, 58), (59, 61)],
    "lapa106": [(i, 32 - i) for i in range(16)]
    + [(33, 46), (34, 45), (35, 44), (36, 43), (37, 42), (38, 50), (39, 49), (40, 48), (41, 47)]
    + [(55, 65), (56, 64), (57, 63), (58, 62), (59, 61), (66, 79), (67, 78), (68, 77), (69, 76)]
    + [(70, 75), (71, 82), (72, 81), (73, 80), (74, 83), (84, 90), (85, 89), (86, 88)]
    + [(91, 95), (92, 94), (96, 100), (97, 99), (101, 103), (104, 105)],
    "insightface106": [(i, i + 16) for i in range(1, 17)]
    + [(33, 87), (34, 88), (35, 93), (36, 91), (37, 90), (38, 92), (39, 89), (40, 94), (41, 96)]
    + [(42, 95), (43, 101), (44, 100), (45, 99), (46, 97), (47, 98), (48, 105), (49, 104)]
    + [(50, 102), (51, 103), (52, 61), (54, 57), (55, 58), (56, 59), (63, 67), (64, 68)]
    + [(65, 69), (66, 70), (75, 81), (76, 82), (77, 83), (78, 84), (79, 85)],
    "bioid20": [(0, 1), (2, 3), (4, 7), (5, 6), (8, 13), (9, 12), (10, 11), (15, 16)],
    "aflw_ears": [(0, 1), (2, 3)],
    "dense314": [(i, 98 - i) for i in range(49)]
    + [(99 + i, 145 - i) for i in range(16)]
    + [(115 + i, 160 - i) for i in range(15)]
    + [(173 + i, 187 - i) for i in range(7)]
    + [(188 + i, 230 - i) for i in range(15)]
    + [(203 + i, 243 - i) for i in range(13)]
    + [(244 + i, 264 - i) for i in range(10)]
    + [(265 + i, 283 - i) for i in range(9)]
    + [(284 + i, 298 - i) for i in range(7)]
    + [(299 + i, 311 - i) for i in range(6)]
    + [(312, 313)],
}
FLIPS["muct76"] = FLIPS["muct68"] + [(68, 72), (69, 73), (70, 74), (71, 75)]
FLIPS["ibug51"] = [(a - 17, b - 17) for a, b in FLIPS["ibug68"] if a > 16]

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
    # what the schemes without photos here share with those: corners and middles of eyes and mouth
    {"wflw98": 60, "muct68": 27, "clm71": 23, "lapa106": 66, "insightface106": 35, "bioid20": 9},
    {"wflw98": 64, "muct68": 29, "clm71": 25, "lapa106": 70, "insightface106": 39, "bioid20": 10},
    {"wflw98": 68, "muct68": 34, "clm71": 30, "lapa106": 75, "insightface106": 89, "bioid20": 11},
    {"wflw98": 72, "muct68": 32, "clm71": 28, "lapa106": 79, "insightface106": 93, "bioid20": 12},
    {"wflw98": 60, "dense314": 188, "ibug51": 19},
    {"wflw98": 72, "dense314": 230, "ibug51": 28},
    {"wflw98": 96, "muct68": 31, "clm71": 27, "lapa106": 104, "bioid20": 0, "aflw_ears": 2},
    {"wflw98": 97, "muct68": 36, "clm71": 32, "insightface106": 92, "bioid20": 1, "dense314": 313},
    {"wflw98": 76, "muct68": 48, "clm71": 44, "lapa106": 84, "insightface106": 52, "bioid20": 2},
    {"wflw98": 82, "muct68": 54, "clm71": 50, "lapa106": 90, "insightface106": 61, "bioid20": 3},
    {"wflw98": 79, "muct68": 51, "clm71": 47, "lapa106": 87, "insightface106": 71, "bioid20": 17},
    {"wflw98": 85, "muct68": 57, "clm71": 53, "lapa106": 93, "insightface106": 53, "bioid20": 18},
    {"wflw98": 90, "muct68": 64, "clm71": 60, "lapa106": 98, "insightface106": 62},
    {"wflw98": 94, "muct68": 61, "clm71": 57, "lapa106": 102, "insightface106": 60},
    {"aflw21": 18, "muct68": 66},
    # nose
    {"wflw98": 54, "muct68": 67, "clm71": 62, "lapa106": 54, "insightface106": 86, "bioid20": 14},
    {"wflw98": 57, "muct68": 41, "clm71": 37, "lapa106": 60, "insightface106": 80},
    {"cofw29": 18, "muct68": 39, "clm71": 35, "lapa106": 57, "insightface106": 77},
    {"cofw29": 19, "muct68": 43, "clm71": 39, "lapa106": 63, "insightface106": 83},
    {"scut86": 60, "muct68": 37, "lapa106": 55, "insightface106": 75},
    {"wflw98": 51, "clm71": 33, "lapa106": 51, "insightface106": 72, "dense314": 161},
    {"muct68": 46, "clm71": 42, "bioid20": 15},
    {"muct68": 47, "clm71": 43, "bioid20": 16},
    # brows and outline
    {"cofw29": 0, "muct68": 21, "clm71": 19, "lapa106": 33, "insightface106": 43, "bioid20": 4},
    {"cofw29": 1, "muct68": 15, "clm71": 15, "lapa106": 46, "insightface106": 101, "bioid20": 7},
    {"cofw29": 2, "muct68": 24, "clm71": 22, "bioid20": 5, "ibug51": 4},
    {"wflw98": 0, "muct68": 0, "clm71": 0, "lapa106": 0, "insightface106": 1, "bioid20": 8},
    {"wflw98": 16, "muct68": 7, "clm71": 7, "lapa106": 16, "insightface106": 0, "bioid20": 19},
    {"aflw21": 12, "aflw_ears": 0},
    {"aflw21": 16, "aflw_ears": 1},
]
SAME_68_98 = (
    [(i, 2 * i) for i in range(17)]
    + [(17, 33), (20, 36), (23, 43), (26, 46)]
    + list(zip(range(27, 36), range(51, 60), strict=True))
    + [(36, 60), (39, 64), (42, 68), (45, 72)]
    # of the lips corners and middles; ibug68's other points lie closer to the middle
    + [(48, 76), (51, 79), (54, 82), (57, 85), (60, 88), (62, 90), (64, 92), (66, 94)]
)

#: wflw98's points in lapa106, by the index table that MMPose publishes.
LAPA_OF_WFLW = [
    *[*range(55), *range(58, 63), *range(66, 74), *range(75, 83), *range(84, 104), 104, 105],
]
#: ibug68's points in insightface106, by the table that passes between users of both.
INSIGHTFACE_OF_IBUG = [
    *[1, 10, 12, 14, 16, 3, 5, 7, 0, 23, 21, 19, 32, 30, 28, 26, 17],
    *[43, 48, 49, 51, 50, 102, 103, 104, 105, 101, 72, 73, 74, 86, 78, 79, 80, 85, 84],
    *[35, 41, 42, 39, 37, 36, 89, 95, 96, 93, 91, 90],
    *[52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55, 65, 66, 62, 70, 69, 57, 60, 54],
]

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
    assert max(lengths, default=0) < 0.23


@pytest.mark.parametrize("row", SAME, ids=lambda row: " ".join(f"{k}:{v}" for k, v in row.items()))
def test_points_that_mean_the_same(row):
    meanings = {get_scheme(name).meanings[index] for name, index in row.items()}
    assert len(meanings) == 1


def test_points_shared_by_68_and_98():
    found = set(get_scheme("ibug68").shared_with(get_scheme("wflw98")))
    assert found == set(SAME_68_98)


def test_points_of_98_in_106():
    assert set(get_scheme("wflw98").shared_with(get_scheme("lapa106"))) == set(
        enumerate(LAPA_OF_WFLW)
    )


def test_both_orders_of_106_are_the_same_places():
    lapa, insightface = get_scheme("lapa106"), get_scheme("insightface106")
    pairs = set(lapa.shared_with(insightface))
    assert sorted(i for i, _ in pairs) == sorted(j for _, j in pairs) == list(range(106))
    assert any(i != j for i, j in pairs)


def test_points_of_68_in_insightfaces_106_are_nearest():
    """But the ends of brows (mean of two points there) and the lips, which ibug68 spaces closer."""
    ibug, insightface = builtin_plane()["ibug68"], builtin_plane()["insightface106"]
    distance = np.linalg.norm(ibug[:, None] - insightface[None], axis=2)
    assert distance[range(68), INSIGHTFACE_OF_IBUG].max() < 0.04
    tied = set(get_scheme("ibug68").shared_with(get_scheme("insightface106")))
    assert tied <= set(enumerate(INSIGHTFACE_OF_IBUG))
    assert len(tied) > 40


def test_schemes_that_are_part_of_another():
    assert get_scheme("ibug51").meanings == get_scheme("ibug68").meanings[17:]
    assert get_scheme("muct76").meanings[:68] == get_scheme("muct68").meanings
    assert set(get_scheme("muct76").meanings[68:]) == set(get_scheme("clm71").meanings[63:])


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
        ("celeba5", "mtfl5"),
        ("jd106", "lapa106"),
        ("lapa", "lapa106"),
        ("insightface", "insightface106"),
        ("muct", "muct76"),
        ("clmtrackr", "clm71"),
        ("bioid", "bioid20"),
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
        ("muct68", (27, 32)),
        ("muct76", (27, 32)),
        ("clm71", (23, 28)),
        ("lapa106", (66, 79)),
        ("insightface106", (35, 93)),
        ("bioid20", (0, 1)),
        ("ibug51", (19, 28)),
        ("aflw_ears", (2, 3)),
        ("dense314", (188, 230)),
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
    """People's labels are nearly symmetric: within 2.5 % of the face, on average under 1 %.

    MUCT's cameras stood to one side of the face, and clmtrackr's model rests on its photos.
    """
    points = builtin_shapes()[name].points
    mirror = points[get_scheme(name).flip_index] * (-1, 1)
    off = np.linalg.norm(mirror - points, axis=1) / np.ptp(points, axis=0).max()
    worst, mean = {"muct68": (0.06, 0.025), "clm71": (0.11, 0.05)}.get(name, (0.025, 0.01))
    assert off.max() < worst
    assert off.mean() < mean
