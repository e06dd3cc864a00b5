"""The face finder's training: it learns, a kill costs nothing, alarms are mined, mistakes told."""

from __future__ import annotations

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from tufa_cli.annotation import AnnotatedImage, Face
from tufa_cli.data.finder_scenes import SceneConfig
from tufa_cli.data.finder_store import FinderPhotos, write_store
from tufa_cli.detect.base import Detections
from tufa_cli.detect.finder_weights import load_finder
from tufa_cli.errors import ProblemsError, TufaError
from tufa_cli.training.finder_config import FinderTrainConfig, SecondTrainConfig, load_finder_config
from tufa_cli.training.finder_loop import train_finder
from tufa_cli.training.finder_loss import giou
from tufa_cli.training.finder_mining import false_alarms


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Bright discs on noise are the faces."""
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    images = []
    for number in range(6):
        photo = rng.integers(60, 120, (120, 120, 3)).astype(np.uint8)
        x, y = (int(v) for v in rng.integers(40, 80, 2))
        cv2.circle(photo, (x, y), 20, (255, 255, 255), -1)
        cv2.imwrite(str(folder / f"{number}.png"), photo)
        face = Face(np.zeros((0, 2)), box=np.array([x - 20.0, y - 20, 40, 40]))
        images.append(AnnotatedImage(f"{number}.png", (face,), root=str(folder)))
    store = folder / "store.h5"
    write_store([("group", images[:3]), ("one", images[3:])], store, lambda i: np.zeros((0, 5)))
    scenes = SceneConfig(size=96, smallest=16, largest=60, pasted=2)
    second = SecondTrainConfig(scenes=12, lowest=0.02, steps=3, batch_size=8)
    return FinderTrainConfig(
        store=str(store), steps=40, batch_size=4, lr=4e-3, warmup=5, ema=0.9, mine_at=(0.5,),
        mine_photos=3, save_every=10, device="cpu", workers=0, scenes=scenes, second=second,
    )  # fmt: skip


def test_it_learns_and_a_stop_in_between_changes_nothing(config, tmp_path):
    whole = train_finder(config, tmp_path / "whole")
    train_finder(config, tmp_path / "parts", stop_at=13)
    parts = train_finder(config, tmp_path / "parts", resume=True)
    assert parts.step == 40 and whole.minings == parts.minings == 1
    for name, tensor in whole.live.state_dict().items():
        torch.testing.assert_close(tensor, parts.live.state_dict()[name], msg=name)
    rows = list(csv.reader((tmp_path / "whole" / "metrics.csv").open()))
    totals = [float(value) for _, name, value in rows if name == "total"]
    assert totals[-1] < totals[0]
    made = load_finder(tmp_path / "whole" / "final.pt")
    assert made.meta["step"] == 40 and [n.config.own_light for n in made.second] == [False, True]
    # Another run may start from what this one made.
    onward = replace(config, init=str(tmp_path / "whole" / "final.pt"), mine_at=())
    first = train_finder(onward, tmp_path / "onward", stop_at=1).average.state_dict()
    for name, tensor in made.model.state_dict().items():
        if name.endswith("weight"):
            torch.testing.assert_close(tensor, first[name], rtol=0.2, atol=0.2, msg=name)


def test_the_second_look_alone_is_trained_anew(config, tmp_path):
    start = replace(config, mine_at=(), second=replace(config.second, own_light=(True,)))
    train_finder(start, tmp_path / "start")
    init = tmp_path / "start" / "final.pt"
    only = replace(start, second=config.second, init=str(init), steps=0)
    train_finder(only, tmp_path / "only")
    before, after = load_finder(init), load_finder(tmp_path / "only" / "final.pt")
    for name, tensor in before.model.state_dict().items():
        torch.testing.assert_close(tensor, after.model.state_dict()[name], msg=name)
    assert (len(before.second), len(after.second)) == (1, 2)
    with pytest.raises(TufaError, match="holds a run already"):
        train_finder(only, tmp_path / "only")
    with pytest.raises(ProblemsError, match="steps"):
        load_finder_config(None, ["steps=0"])


def test_a_run_is_neither_overwritten_nor_mixed(config, tmp_path):
    train_finder(replace(config, mine_at=()), tmp_path, stop_at=1)
    with pytest.raises(TufaError, match="holds a run already"):
        train_finder(config, tmp_path)
    with pytest.raises(TufaError, match="other settings: lr"):
        train_finder(replace(config, mine_at=(), lr=1.0), tmp_path, resume=True)


class Says:
    """Finds the same boxes everywhere."""

    def __init__(self, *boxes):
        self.boxes = np.array(boxes, float)

    def detect(self, image, photo=None):
        return Detections(self.boxes, np.linspace(0.9, 0.5, len(self.boxes)))


def test_only_what_nobody_takes_for_a_face_is_mined(config):
    photos = FinderPhotos(config.store)
    (box,) = photos.faces(0).boxes
    around = [box[0] - 20, box[1] - 20, 80, 80]
    far = [0.0, 0, 14, 14] if box[0] > 20 or box[1] > 20 else [100.0, 100, 14, 14]
    says = Says(box, around, far, [0, 0, 5, 5])
    (region,) = false_alarms(says, photos, np.array([0]), 0.3)
    assert list(region) == [0, *far]


def test_giou_of_equal_and_of_distant_boxes():
    first = torch.tensor([[2.0, 2, 2, 2], [2, 2, 2, 2]])
    second = torch.tensor([[2.0, 2, 2, 2], [-4, 2, 8, 2]])
    torch.testing.assert_close(giou(first, second), torch.tensor([1.0, -0.2]))


def test_the_shipped_config_and_mistakes(checkout):
    for name in ("finder", "finder_more", "finder_second"):
        assert load_finder_config(checkout / "examples" / f"{name}.yaml").sources
    with pytest.raises(ProblemsError) as caught:
        load_finder_config(None, ["stepz=3", "scenes.turn=1", "lr=fast"])
    assert len(caught.value.problems) == 3
    with pytest.raises(ProblemsError, match="multiple of 32"):
        load_finder_config(None, ["scenes.size=100"])
