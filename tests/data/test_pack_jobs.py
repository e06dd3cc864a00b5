"""Packing with several processes, killed and resumed; checking packs."""

from __future__ import annotations

import json
import pickle
import random
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from tufa_cli.annotation import AnnotatedImage
from tufa_cli.data import crops as crops_module
from tufa_cli.data import pack as pack_module
from tufa_cli.data.crops import PackOptions
from tufa_cli.data.pack import pack
from tufa_cli.data.packed import PackedFaces
from tufa_cli.data.store import jpeg_size, open_pack, read_rows, row_checksum
from tufa_cli.data.verify import describe, verify
from tufa_cli.errors import TufaError
from tufa_cli.schemes import builtin_plane

COUNT = 40  #: rows of the fixture ``images``


def run(images, out, **options):
    return list(pack(images, out, builtin_plane(), PackOptions("noise"), **options))[-1]


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "whole.h5"
    report = run(images, out)
    assert (report.rows, report.photos) == (COUNT, COUNT)
    assert [photo for photo, _ in report.failed] == ["7.png"]
    return out


def test_the_bytes_do_not_depend_on_the_processes(images, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(crops_module, "_LOT", 2)
    monkeypatch.setattr(pack_module, "_PART_ROWS", 7)
    report = run(images, tmp_path / "two.h5", jobs=2)
    assert [photo for photo, _ in report.failed] == ["7.png"]
    assert (tmp_path / "two.h5").read_bytes() == whole.read_bytes()


def test_appended_in_two_runs_it_is_the_same(images, whole, tmp_path):
    run(images[:25], tmp_path / "a.h5")
    run(images[25:], tmp_path / "a.h5", append=True)
    assert (tmp_path / "a.h5").read_bytes() == whole.read_bytes()


def test_resume_after_the_end_changes_nothing(images, whole, tmp_path):
    out = tmp_path / "a.h5"
    run(images, out, resume=True)
    before = out.stat().st_mtime_ns
    report = run(images, out, resume=True)
    assert (report.rows, report.present) == (0, COUNT)
    assert out.stat().st_mtime_ns == before
    assert out.read_bytes() == whole.read_bytes()


def test_a_kill_between_the_merge_and_the_clearing(images, whole, tmp_path, monkeypatch):
    out = tmp_path / "a.h5"
    monkeypatch.setattr("tufa_cli.data.parts.PartFolder.remove", lambda self: None)
    run(images, out)
    assert list(out.with_name("a.h5.parts").glob("*.h5"))
    monkeypatch.undo()
    assert run(images, out, resume=True).present == COUNT
    assert not out.with_name("a.h5.parts").exists()
    assert out.read_bytes() == whole.read_bytes()


@pytest.fixture
def cut_off(images, tmp_path, monkeypatch):
    """The path of a pack that was cut off after three parts of ten rows."""
    monkeypatch.setattr(pack_module, "_PART_ROWS", 10)
    steps = pack(images, tmp_path / "a.h5", builtin_plane(), PackOptions("noise"))
    for _ in range(3):
        next(steps)
    steps.close()
    return tmp_path / "a.h5"


def test_damaged_parts_are_made_again(images, whole, cut_off):
    part = sorted(cut_off.with_name("a.h5.parts").glob("*.h5"))[1]
    with h5py.File(part) as file:
        at = file["jpeg"].id.get_offset() + len(file["jpeg"]) // 2
    data = bytearray(part.read_bytes())
    data[at] ^= 255
    part.write_bytes(data)
    assert run(images, cut_off).resumed == 10
    assert cut_off.read_bytes() == whole.read_bytes()


def test_parts_of_another_command_are_refused(images, cut_off):
    other = PackOptions("noise", quality=50)
    with pytest.raises(TufaError, match="another pack command"):
        list(pack(images, cut_off, builtin_plane(), other))
    with pytest.raises(TufaError, match="the source lacks"):
        run(images[5:], cut_off)
    assert run(images, cut_off).rows == COUNT


def test_two_commands_at_once_do_not_mix(images, tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    monkeypatch.setattr(pack_module, "_PART_ROWS", 10)
    first = pack(images, tmp_path / "a.h5", builtin_plane(), PackOptions("noise"))
    next(first)
    with pytest.raises(TufaError, match="is writing there"):
        run(images, tmp_path / "a.h5")
    list(first)
    assert verify(tmp_path / "a.h5").bad == []


PROGRAM = """
import pickle, sys
from pathlib import Path
from tufa_cli.data import crops, pack
from tufa_cli.schemes import builtin_plane
pack._PART_ROWS, crops._LOT = 3, 2
if __name__ == "__main__":
    images = pickle.loads(Path(sys.argv[1]).read_bytes())
    options = pack.PackOptions("noise")
    print("ready", flush=True)
    for _ in pack.pack(images, Path(sys.argv[2]), builtin_plane(), options, resume=True, jobs=int(
        sys.argv[3])):
        print("part", flush=True)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_kills_at_random_instants(images, whole, tmp_path, jobs):
    """kill -9, the same command again, and so on: never a damaged file, and in the end the same
    bytes as without."""
    plain = [
        AnnotatedImage(i.path, tuple(map(pack_module._bare, i.faces)), root=i.root) for i in images
    ]
    (tmp_path / "images").write_bytes(pickle.dumps(plain))
    (tmp_path / "program.py").write_text(PROGRAM)
    out, chance, kills = tmp_path / "a.h5", random.Random(jobs), 0
    while True:
        process = subprocess.Popen(
            [sys.executable, tmp_path / "program.py", tmp_path / "images", out, str(jobs)],
            stdout=subprocess.PIPE,
        )
        assert process.stdout.readline() == b"ready\n"
        if kills == 6:
            process.stdout.read()
            assert process.wait(timeout=100) == 0
            break
        if jobs == 2 or kills % 2:
            process.stdout.readline()
        time.sleep(chance.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        kills += 1
        if out.exists():
            assert verify(out).bad == []
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "images", "program.py"]


ORPHAN = """
import os, time
from tufa_cli.data import crops
if __name__ == "__main__":
    context = crops.get_context("spawn")
    pool = crops.ProcessPoolExecutor(1, context, crops._start_worker, (None, None))
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_workers_end_when_the_main_process_is_killed(tmp_path):
    """Else every kill would leave processes that wait for ever."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("looks for processes in /proc")
    (tmp_path / "program.py").write_text(ORPHAN)
    process = subprocess.Popen([sys.executable, tmp_path / "program.py"], stdout=subprocess.PIPE)
    worker = Path(f"/proc/{int(process.stdout.readline())}/stat")
    process.kill()
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 20
    # Gone, or a zombie where nobody collects the children of the dead.
    while worker.exists() and worker.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_worker_is_told(images, tmp_path, monkeypatch):
    def broken(*args):
        raise crops_module.BrokenProcessPool

    monkeypatch.setattr(crops_module.ProcessPoolExecutor, "submit", broken)
    with pytest.raises(TufaError, match="was killed") as caught:
        run(images, tmp_path / "a.h5", jobs=2)
    assert "--jobs" in caught.value.hint


def as_version_1(path):
    """The pack as older versions wrote it."""
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 1
        del file["checksum"], file.attrs["head_checksum"]


def test_old_packs_are_read_and_appended_to(images, whole, tmp_path):
    out = tmp_path / "old.h5"
    run(images[:25], out)
    as_version_1(out)
    faces = PackedFaces([out], 64)
    assert np.isfinite(faces.stored(3)[1]).all()
    assert (verify(out).has_checksums, verify(out).bad) == (False, [])
    assert not describe(out)["checksums"]
    run(images[25:], out, append=True)
    assert out.read_bytes() == whole.read_bytes()


def damage(path, what):
    with h5py.File(path, "r+") as file:
        match what:
            case "jpeg":
                file["jpeg"][int(file["jpeg_start"][4]) + 700] ^= 255
            case "point":
                file["points"][29 * 4] = np.nan
            case "scheme":
                file["weight"][4] = 0.25
            case "starts":
                file["jpeg_start"][4] = -5
            case "plane":
                text = file.attrs["plane"]
                file.attrs["plane"] = text.replace("0.5", "0.6", 1)
            case "table":
                del file["key"]
            case "cut":
                file["jpeg"][int(file["jpeg_start"][5]) - 2 : int(file["jpeg_start"][5])] = 0


@pytest.mark.parametrize(
    ("what", "row", "message"),
    [
        ("jpeg", 4, "checksum"),
        ("point", 4, "1 labelled points are not finite"),
        ("scheme", 4, "checksum"),
        ("cut", 4, "no whole JPEG"),
        ("starts", None, "jpeg_start is damaged"),
        ("plane", None, "checksum of the plane"),
        ("table", None, "key"),
    ],
)
def test_damage_is_found(whole, tmp_path, what, row, message):
    path = tmp_path / "a.h5"
    path.write_bytes(whole.read_bytes())
    damage(path, what)
    bad = verify(path).bad
    assert {found for found, _ in bad} == {row}
    assert any(message in problem for _, problem in bad)


def test_any_flipped_byte_of_the_crops_is_found(whole, tmp_path):
    with h5py.File(whole) as file:
        start, length = file["jpeg"].id.get_offset(), len(file["jpeg"])
    data, chance = whole.read_bytes(), random.Random(1)
    for _ in range(8):
        broken = bytearray(data)
        broken[start + chance.randrange(length)] ^= 1 << chance.randrange(8)
        (tmp_path / "a.h5").write_bytes(broken)
        assert len({row for row, _ in verify(tmp_path / "a.h5").bad}) == 1


def test_a_truncated_pack_is_refused(whole, tmp_path):
    data = whole.read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(TufaError, match=r"a\.h5"):
        verify(tmp_path / "a.h5")


def test_checksums_cover_every_field(whole):
    with open_pack(whole) as file:
        assert len(set(file["checksum"][:].tolist())) == COUNT
    row = next(iter(read_rows(whole)))[1][0]
    for field in fields(row):
        value = getattr(row, field.name)
        other = value + (1 if not isinstance(value, (str, bytes)) else type(value)(value[:1]))
        assert row_checksum(replace(row, **{field.name: other})) != row_checksum(row)


def test_what_a_pack_holds(whole):
    found = describe(whole)
    groups = [{"split": "train", "source": "noise", "scheme": "cofw29", "faces": COUNT}]
    assert (found["faces"], found["groups"]) == (COUNT, groups)
    assert found["labelled_points"] == 29 * COUNT
    sides = [PackedFaces([whole], 64).stored(row)[0].shape[0] for row in range(COUNT)]
    assert found["crop_px"] == [min(sides), int(np.median(sides)), max(sides)]
    json.dumps(found)


def test_size_in_the_header():
    for height, width in ((16, 33), (300, 7)):
        data = cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].reshape(-1)
        assert jpeg_size(data) == (width, height)
        assert jpeg_size(data[:100]) is None
    assert jpeg_size(data[:0]) is None
