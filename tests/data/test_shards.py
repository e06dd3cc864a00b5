"""A pack in several files: the same rows, the same bytes however it came about, and checked."""

from __future__ import annotations

import shutil
from itertools import pairwise

import numpy as np
import pytest

from tufa_cli.data import shards as shards_module
from tufa_cli.data.augment import AugmentConfig
from tufa_cli.data.pack import PackOptions, pack
from tufa_cli.data.packed import Draw, PackedFaces
from tufa_cli.data.shards import _cut, pack_files
from tufa_cli.data.store import Span, read_rows, row_checksum
from tufa_cli.data.verify import describe, verify
from tufa_cli.errors import InputError, OutputError, TufaError
from tufa_cli.schemes import builtin_plane
from tufa_cli.schemes.align import with_own
from tufa_cli.schemes.load import parse_scheme

SIZE = 12  # 40 rows: three full shards and one of four


def run(images, out, **options):
    return list(pack(images, out, builtin_plane(), PackOptions("noise"), **options))[-1]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def checksums(path):
    blocks = (rows for file in pack_files(path) for _, rows, _ in read_rows(file))
    return [row_checksum(row) for rows in blocks for row in rows]


@pytest.fixture(scope="module")
def sharded(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("sharded") / "faces"
    assert run(images, out, shard_rows=SIZE).rows == 40
    return out


@pytest.fixture(scope="module")
def single(images, tmp_path_factory):
    out = tmp_path_factory.mktemp("single") / "faces.h5"
    run(images, out)
    return out


def test_shards_hold_what_one_file_holds(sharded, single):
    assert sorted(contents(sharded)) == [f"{i:05d}.h5" for i in range(4)]
    assert [sum(len(rows) for _, rows, _ in read_rows(f)) for f in pack_files(sharded)] == [
        12, 12, 12, 4,
    ]  # fmt: skip
    sums = [
        [
            row_checksum(row)
            for file in pack_files(pack)
            for _, rows, _ in read_rows(file)
            for row in rows
        ]
        for pack in (sharded, single)
    ]
    assert sums[0] == sums[1]
    found, whole = describe(sharded), describe(single)
    assert (found.pop("files"), whole.pop("files")) == (4, 1)
    for key in ("pack", "bytes"):
        del found[key], whole[key]
    assert found == whole
    assert (verify(sharded).rows, verify(sharded).bad) == (40, [])


@pytest.mark.parametrize("name", ["faces", "faces/*.h5", "*"])
def test_training_reads_a_folder_or_a_pattern(sharded, single, name):
    ours = PackedFaces([sharded.parent / name], 64, AugmentConfig())
    theirs = PackedFaces([single], 64, AugmentConfig())
    assert len(ours) == len(theirs) == 40
    for row in (0, 11, 12, 39):
        one, two = (faces[Draw(row, (row,))] for faces in (ours, theirs))
        assert (one["image"] == two["image"]).all()
        assert np.array_equal(one["points"], two["points"])


@pytest.mark.parametrize("cuts", [(0, 25, 40), (0, 12, 24, 40), (0, 5, 9, 30, 40)])
def test_appended_they_are_the_same(images, sharded, tmp_path, cuts):
    out = tmp_path / "faces"
    run(images[: cuts[1]], out, shard_rows=SIZE)
    for first, last in pairwise(cuts[1:]):
        run(images[first:last], out, append=True)  # the folder tells the size
    assert contents(out) == contents(sharded)
    with pytest.raises(TufaError, match="packed twice"):
        run(images[:1], out, append=True)
    assert run(images, out, resume=True).present == 40
    assert contents(out) == contents(sharded)


@pytest.mark.parametrize("kill_after", [0, 1, 2])
def test_a_kill_between_two_shards(images, sharded, tmp_path, monkeypatch, kill_after):
    """The command given again finishes it, whichever shards were there."""
    out = tmp_path / "faces"
    run(images[:20], out, shard_rows=SIZE)
    real, done = shards_module.merge, []

    def killed(*args):
        if len(done) == kill_after:
            raise KeyboardInterrupt
        done.append(real(*args))

    monkeypatch.setattr(shards_module, "merge", killed)
    with pytest.raises(KeyboardInterrupt):
        run(images[20:], out, append=True)
    monkeypatch.undo()
    assert run(images[20:], out, append=True).rows == 20
    assert contents(out) == contents(sharded)
    assert not out.with_name("faces.parts").exists()


def test_a_kill_while_a_new_one_is_made_leaves_nothing_half(images, sharded, tmp_path, monkeypatch):
    real, done = shards_module.merge, []

    def killed(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(real(*args))

    monkeypatch.setattr(shards_module, "merge", killed)
    with pytest.raises(KeyboardInterrupt):
        run(images, tmp_path / "faces", shard_rows=SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ["faces.parts"]
    monkeypatch.undo()
    assert run(images, tmp_path / "faces", shard_rows=SIZE).resumed == 40
    assert contents(tmp_path / "faces") == contents(sharded)


def test_what_kill_9_leaves_beside_is_no_obstacle(images, sharded, tmp_path):
    """The half made folder stays when nothing can clear up; a file of another pack is not ours."""
    shutil.copytree(sharded, tmp_path / ".faces.new.part")
    ours, other = tmp_path / ".faces.abcd_123.part", tmp_path / ".faces.h5.abcd_123.part"
    for path in (ours, other):
        path.touch()
    run(images, tmp_path / "faces", shard_rows=SIZE)
    assert contents(tmp_path / "faces") == contents(sharded)
    assert {path.name for path in tmp_path.iterdir()} == {"faces", other.name}


def test_packs_of_a_folder_whose_planes_do_and_do_not_go_together(images, tmp_path):
    """What info shows is the plane of all; verify says what train would not take."""
    head = "{name: mine, source: here, normaliser: plane_box, points: "
    mine, other = (parse_scheme(f"{head}[{{part: jaw, t: {t}}}]}}", "mine") for t in (0.3, 0.4))
    for name, scheme in (("a", mine), ("b", None)):
        plane = with_own(builtin_plane(), scheme) if scheme else builtin_plane()
        list(pack(images[:2], tmp_path / f"{name}.h5", plane, PackOptions(name)))
    assert "mine" in describe(tmp_path)["plane"]["schemes"]
    assert verify(tmp_path).bad == []
    plane = with_own(builtin_plane(), other)
    list(pack(images[:2], tmp_path / "c.h5", plane, PackOptions("c")))
    ((row, problem),) = verify(tmp_path).bad
    assert row is None
    assert "its scheme mine has other points" in problem
    with pytest.raises(TufaError, match="its scheme mine has other points"):
        describe(tmp_path)


def test_another_context_is_refused_before_the_work(images, sharded, single, tmp_path):
    """Not after it, with parts left that are in the way of the right command."""
    shutil.copy(single, tmp_path / "a.h5")
    for out in (shutil.copytree(sharded, tmp_path / "faces"), tmp_path / "a.h5"):
        options = PackOptions("more", context=1.25)
        with pytest.raises(TufaError, match=r"1\.5 times as wide as the window") as error:
            list(pack(images[:2], out, builtin_plane(), options, append=True))
        assert error.value.hint == "--context 1.5"
    assert not list(tmp_path.glob("*.parts"))


def test_overwriting_replaces_shards_and_nothing_else(images, sharded, tmp_path):
    out = tmp_path / "faces"
    shutil.copytree(sharded, out)
    with pytest.raises(OutputError, match="exists already"):
        run(images[:5], out, shard_rows=SIZE)
    run(images[:5], out, shard_rows=SIZE, overwrite=True)
    assert list(contents(out)) == ["00000.h5"]
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        run(images[:5], out, shard_rows=SIZE, overwrite=True)
    assert (out / "notes.txt").exists()


def test_mistakes_are_told(images, sharded, single, tmp_path):
    with pytest.raises(OutputError, match="is a file"):
        run(images[:1], single, shard_rows=SIZE)
    with pytest.raises(TufaError, match="shards have 12 faces"):
        run(images[:1], sharded, shard_rows=5, append=True)
    with pytest.raises(InputError, match="no pack matches"):
        PackedFaces([tmp_path / "*.h5"], 64)
    with pytest.raises(InputError, match="holds no pack"):
        PackedFaces([tmp_path], 64)
    packs = tmp_path / "packs"
    packs.mkdir()
    shutil.copy(single, packs / "whole.h5")
    assert len(PackedFaces([packs], 64)) == 40
    with pytest.raises(InputError, match="is no shard"):
        run(images[:1], packs, append=True)


def test_missing_and_damaged_shards_are_found(sharded, tmp_path):
    out = tmp_path / "faces"
    shutil.copytree(sharded, out)
    data = bytearray((out / "00001.h5").read_bytes())
    data[len(data) * 2 // 3] ^= 255
    (out / "00001.h5").write_bytes(data)
    ((row, problem), *_) = verify(out).bad
    assert 12 <= row < 24
    assert problem.endswith("(00001.h5)")
    (out / "00001.h5").unlink()
    for look in (verify, describe, lambda path: PackedFaces([path], 64)):
        with pytest.raises(InputError, match="shard 1 is missing"):
            look(out)


def test_spans_are_cut_to_size(tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    found = list(_cut([Span(one, 2, 5), Span(two, 0, 6)], 4))
    assert found == [
        [Span(one, 2, 5), Span(two, 0, 1)], [Span(two, 1, 5)], [Span(two, 5, 6)],
    ]  # fmt: skip
