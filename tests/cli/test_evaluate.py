"""``tufa-cli evaluate``: the JSON's keys, the table, lists, subsets and exit codes."""

import json

import cv2
import numpy as np
import pytest

from tufa_cli.detect import DEFAULT_DETECTOR
from tufa_cli.schemes import builtin_plane, get_scheme

PATHS = ["a/one.png", "a/two.png", "b/three.png"]


def coco(paths, scheme="mtfl5", category="any animal"):
    """A COCO keypoints file with one face on each photo: the plane's anchors, a little moved."""
    anchors = builtin_plane()[scheme]
    rng = np.random.default_rng(0)
    annotations = []
    for number, _ in enumerate(paths):
        points = (anchors + rng.uniform(-0.03, 0.03, anchors.shape)) * 90 + (30, 20)
        flat = np.column_stack([points, np.full(len(points), 2)]).ravel().tolist()
        annotations.append(
            {"id": number + 1, "image_id": number + 1, "category_id": 7, "keypoints": flat}
        )
    images = [
        {"id": number + 1, "file_name": path, "width": 160, "height": 140}
        for number, path in enumerate(paths)
    ]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": category, "keypoints": []}],
    }


@pytest.fixture
def source(tmp_path):
    for number, path in enumerate(PATHS):
        noise = np.random.default_rng(number).integers(0, 255, (140, 160, 3), dtype=np.uint8)
        (tmp_path / path).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / path), noise)
    (tmp_path / "labels.json").write_text(json.dumps(coco(PATHS)))
    return tmp_path / "labels.json"


@pytest.fixture
def evaluate(run_cli, source, weights_file):
    def run(*args, scheme="mtfl5"):
        images = source.parent
        return run_cli(
            *("evaluate", source, "--from", "coco", "--scheme", scheme, "--images", images),
            *("--weights", weights_file, "--device", "cpu", *args),
        )

    return run


FIGURES = {
    "faces",
    "missed",
    "skipped",
    "nme_percent",
    "nme_interval_percent",
    "failure_rate_percent",
    "auc",
    "parts",
}


def test_json_has_the_documented_keys(evaluate, source):
    result = evaluate("--json", "--baseline")
    assert (result.code, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert set(report) == FIGURES | {
        *("scheme", "box", "box_detail", "weights", "anchors", "subsets", "unreadable_photos"),
        "baseline",
    }
    assert (report["scheme"], report["box"], report["weights"]) == ("mtfl5", "oracle", "tiny")
    assert (report["faces"], report["missed"], report["skipped"]) == (3, 0, 0)
    # a fresh network takes no step from the plane's anchors
    assert 0 < report["nme_percent"] < 20
    assert report["nme_percent"] == pytest.approx(report["baseline"]["nme_percent"], abs=0.01)
    assert set(report["parts"]) == set(get_scheme("mtfl5").groups)
    assert all(set(part) == {"nme_percent"} for part in report["parts"].values())
    assert {name: part["faces"] for name, part in report["subsets"].items()} == {"a": 2, "b": 1}
    assert set(report["subsets"]["a"]) == FIGURES
    for path in PATHS:
        assert path not in result.stdout


def test_the_table_says_the_box_and_all_figures(evaluate):
    result = evaluate("--box", "jitter", "--seed", "4", "--baseline")
    assert result.code == 0
    for text in ("Box: jitter", "0.05", "0.08", "seed 4", "mtfl5", "mean shape", "FR@10 %", "b"):
        assert text in result.stdout


def test_an_alias_is_the_scheme(evaluate):
    assert json.loads(evaluate("--json", scheme="mtfl").stdout)["scheme"] == "mtfl5"


def test_lists_choose_photos_and_warn_of_names_in_vain(evaluate, tmp_path):
    (tmp_path / "keep.txt").write_text("one.png\nb/three.png\nnobody.png\n")
    (tmp_path / "drop.txt").write_text("three\n")
    files = ("--list", tmp_path / "keep.txt", "--exclude", tmp_path / "drop.txt")
    result = evaluate("--json", *files)
    assert json.loads(result.stdout)["faces"] == 1
    assert result.stderr == "Warning: 1 listed name matched no photo: nobody.png\n"


def test_subset_files_replace_the_folders(evaluate, tmp_path):
    (tmp_path / "odd.txt").write_text("one\nthree\n")
    report = json.loads(evaluate("--json", "--subset-file", f"odd={tmp_path / 'odd.txt'}").stdout)
    assert {name: part["faces"] for name, part in report["subsets"].items()} == {"odd": 2}
    assert evaluate("--subset-file", "odd").code == 2


def test_a_photo_that_cannot_be_read_gives_exit_code_3(evaluate, tmp_path):
    (tmp_path / "a/two.png").write_bytes(b"text")
    result = evaluate("--json")
    assert result.code == 3
    report = json.loads(result.stdout)
    assert (report["faces"], report["unreadable_photos"]) == (2, 1)
    assert "Failed: a/two.png: " in result.stderr


def test_no_photo_at_all_is_the_users_error(evaluate, tmp_path):
    for path in PATHS:
        (tmp_path / path).unlink()
    result = evaluate()
    assert (result.code, result.stdout) == (1, "")
    assert "3 photos failed" in result.stderr and "--images" in result.stderr


@pytest.mark.parametrize(
    ("args", "scheme", "code", "text"),
    [
        ((), "ibug68", 1, "ibug68"),
        ((), "mtfl6", 1, "mtfl5"),
        (("--box", "guess"), "mtfl5", 2, "oracle"),
        (("--detector", "lbp"), "mtfl5", 2, "--box detector"),
        (("--list", "/nowhere.txt"), "mtfl5", 1, "/nowhere.txt"),
        (("--device", "abacus"), "mtfl5", 1, "abacus"),
    ],
)
def test_mistakes_are_told_without_a_traceback(evaluate, args, scheme, code, text):
    result = evaluate(*args, scheme=scheme)
    assert (result.code, result.stdout) == (code, "")
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_the_detectors_box_is_measured_on_a_real_face(run_cli, tmp_path, astronaut, weights_file):
    cv2.imwrite(str(tmp_path / "one.png"), astronaut[..., ::-1])
    data = coco(["one.png"])
    # eye centres, nose tip and mouth corners of the astronaut, read off the photo
    points = [[203, 100], [246, 103], [222, 126], [203, 139], [243, 140]]
    data["annotations"][0]["keypoints"] = [v for x, y in points for v in (x, y, 2)]
    (tmp_path / "labels.json").write_text(json.dumps(data))
    result = run_cli(
        *("evaluate", tmp_path / "labels.json", "--scheme", "mtfl5", "--box", "detector"),
        *("--weights", weights_file, "--json", "--images", tmp_path, "--baseline"),
    )
    assert result.code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["box"], report["faces"], report["missed"]) == ("detector", 1, 0)
    assert report["box_detail"] == DEFAULT_DETECTOR
    assert report["baseline"]["nme_percent"] < 40
