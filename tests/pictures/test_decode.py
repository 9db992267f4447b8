"""Real files in every format that Pillow writes and reads, whole and damaged."""

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageDraw

from fashionboard.base.errors import PictureError
from fashionboard.pictures import decode

# formats that keep every pixel, and those that do not
LOSSLESS = ("BMP", "DIB", "ICO", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF")
LOSSY = ("AVIF", "GIF", "JPEG", "JPEG2000", "MPO", "WEBP")


def shape(size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A picture that is its own mirror image in no way."""
    page = Image.new("RGB", size, (250, 250, 240))
    draw = ImageDraw.Draw(page)
    draw.rectangle((8, 8, 40, 20), fill=(40, 60, 90))
    draw.ellipse((8, 16, 24, 56), fill=(120, 20, 20))
    return page


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two pictures of mode RGB, 0 to 255."""
    assert one.mode == other.mode == "RGB" and one.size == other.size
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_every_format_is_read(tmp_path: Path, kind: str) -> None:
    shape().save(tmp_path / "picture", kind)
    assert difference(decode.read(tmp_path / "picture"), shape()) <= (0 if kind in LOSSLESS else 4)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bits_of_grey_become_eight(tmp_path: Path, kind: str) -> None:
    ramp = np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "picture", kind)
    found = np.asarray(decode.read(tmp_path / "picture"), float)
    assert np.abs(found - ramp[:, :, None] / 257).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("values", "top"),
    [
        (np.linspace(0, 1, 256, dtype=np.float32), 1),
        (np.linspace(0, 255, 256, dtype=np.float32), 255),
        (np.linspace(0, 200, 256).astype(np.int32), 255),
        (np.linspace(0, 60_000, 256).astype(np.int32), 65_535),
        (np.linspace(0, 2_000_000, 256).astype(np.int32), 2_000_000),
    ],
)
def test_thirty_two_bits_become_eight(
    tmp_path: Path, values: "np.ndarray[tuple[int], np.dtype[np.float32]]", top: float
) -> None:
    Image.fromarray(values.reshape(16, 16)).save(tmp_path / "picture", "TIFF")
    found = np.asarray(decode.read(tmp_path / "picture"), float)[:, :, 0].ravel()
    assert np.abs(found - values / top * 255).max() <= 0.5 + 1e-4


def test_a_picture_that_is_scaled_in_parts_has_one_scale(tmp_path: Path) -> None:
    # the largest number, which decides, is in the last part
    values = np.random.default_rng(0).integers(0, 256, (1500, 1000), np.int32)
    values[-1, -1] = 2_000_000
    values[0, 0] = 1_000_000
    Image.fromarray(values).save(tmp_path / "picture", "TIFF")
    found = np.asarray(decode.read(tmp_path / "picture"))[:, :, 0]
    assert np.array_equal(found, np.rint(values / 2_000_000 * 255))


@pytest.mark.parametrize("none", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_black(tmp_path: Path, none: float) -> None:
    Image.fromarray(np.array([[none, 1.0]], np.float32)).save(tmp_path / "picture", "TIFF")
    assert np.asarray(decode.read(tmp_path / "picture")).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(("beyond", "top"), [(1.05, 1), (257, 255), (70_000, 65_535)])
def test_a_number_that_is_a_little_beyond_changes_no_other(tmp_path: Path, beyond: float, top: float) -> None:
    Image.fromarray(np.array([[beyond, top / 2]], np.float32)).save(tmp_path / "picture", "TIFF")
    assert np.asarray(decode.read(tmp_path / "picture"))[0, :, 0].tolist() == [255, 128]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_that_is_transparent_is_white(tmp_path: Path, dtype: type[np.uint8] | type[np.uint16]) -> None:
    Image.fromarray(np.array([[5, 0]], dtype)).save(tmp_path / "picture", "PNG", transparency=5)
    assert np.asarray(decode.read(tmp_path / "picture"))[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB"])
def test_every_kind_of_colour_is_read(tmp_path: Path, mode: str) -> None:
    if mode == "LAB":
        from PIL import ImageCms

        profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
        picture = ImageCms.profileToProfile(shape(), *profiles, outputMode="LAB")
        assert picture is not None
    else:
        picture = shape().convert(mode)
    picture.save(tmp_path / "picture", "TIFF")
    expected = shape() if mode in ("LAB", "YCbCr") else picture.convert("RGB")
    # lightness and colour of 256 levels are not the same 256 as those of red, green and blue
    assert difference(decode.read(tmp_path / "picture"), expected) <= (2 if mode in ("LAB", "YCbCr") else 0)


def transparent(mode: str) -> Image.Image:
    """A red square; all else is transparent, and green or black where that is not looked at."""
    picture = Image.new("RGBA", (20, 20), (0, 255, 0, 0))
    picture.paste((255, 0, 0, 255), (5, 5, 15, 15))
    return picture if mode == "RGBA" else picture.convert(mode)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("GIF", "RGBA"), ("TIFF", "RGBA"), ("WEBP", "RGBA")],
)
def test_what_is_transparent_is_white(tmp_path: Path, kind: str, mode: str) -> None:
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    transparent(mode).save(tmp_path / "picture", kind, **options)
    found = decode.read(tmp_path / "picture")
    red = (76, 76, 76) if mode == "LA" else (255, 0, 0)
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert found.getpixel((10, 10)) == red


def test_what_is_half_transparent_is_half_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 128)).save(tmp_path / "picture", "PNG")
    assert decode.read(tmp_path / "picture").getpixel((0, 0)) == (127, 127, 127)


def test_a_colour_may_be_the_transparent_one(tmp_path: Path) -> None:
    picture = shape()
    picture.save(tmp_path / "picture", "PNG", transparency=(120, 20, 20))
    assert decode.read(tmp_path / "picture").getpixel((16, 40)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_picture_is_read(tmp_path: Path, kind: str) -> None:
    second = Image.new("RGB", (64, 64), "blue")
    shape().save(tmp_path / "picture", kind, save_all=True, append_images=[second])
    assert difference(decode.read(tmp_path / "picture"), shape()) <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_was(tmp_path: Path, orientation: int) -> None:
    # what the numbers mean: CIPA DC-008 (EXIF 2.32), 4.6.4; the file holds what the camera saw
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = shape((64, 80))
    seen = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen.save(tmp_path / "picture", "PNG", exif=exif)
    assert difference(decode.read(tmp_path / "picture"), upright) == 0


def refusal(path: Path) -> str:
    with pytest.raises(PictureError) as caught:
        decode.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value).removeprefix(f"{path}: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone") == "expected a picture, found no such file; see where it is"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "expected a picture, found no ordinary file"


def test_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "expected a picture, found a folder; name the files in it"


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    shape().save(tmp_path / "file", "PNG")
    for path, reason in (
        (tmp_path / ("a" * 256), "File name too long"),
        (tmp_path.joinpath(*["a" * 250] * 20), "File name too long"),
        (tmp_path / "one", "Too many levels of symbolic links"),
        (tmp_path / "file" / "picture", "Not a directory"),
    ):
        assert refusal(path) == f"cannot be read ({reason})"


def test_a_name_that_no_file_has(tmp_path: Path) -> None:
    with pytest.raises(PictureError) as caught:
        decode.read(tmp_path / "a\0b")
    expected = r"a\x00b: expected a picture, found a name with a null byte, which no file has"
    assert str(caught.value) == f"{tmp_path}/{expected}"


def test_a_name_is_shown_with_codes_for_what_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "two\nlines\x1b[31m").touch()
    with pytest.raises(PictureError) as caught:
        decode.read(tmp_path / "two\nlines\x1b[31m")
    assert str(caught.value).startswith(
        rf"{tmp_path}/two\nlines\x1b[31m: expected a picture that Pillow opens"
    )


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "tiff_ccitt"])
def test_libtiff_says_nothing_of_its_own(
    tmp_path: Path, compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is damaged is refused or, where libtiff goes on after it, read."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    path = tmp_path / "picture"
    Image.fromarray(noise).convert("1" if compression == "tiff_ccitt" else "RGB").save(
        path, "TIFF", compression=compression
    )
    whole = path.read_bytes()
    path.write_bytes(whole[:20] + noise.tobytes()[:40] + whole[60:])
    with Image.open(path) as damaged, suppress(OSError):
        damaged.load()
    assert capfd.readouterr().err  # of libtiff's own
    with suppress(PictureError):
        decode.read(path)
    assert capfd.readouterr().err == ""
    os.write(2, b"stderr is what it was")
    assert capfd.readouterr().err == "stderr is what it was"


def test_a_file_without_a_picture(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello " * 100)
    assert refusal(tmp_path / "empty.png") == "expected a picture that Pillow opens, found an empty file"
    assert refusal(tmp_path / "text.png") == "expected a picture that Pillow opens, found something else"


@pytest.mark.parametrize(
    "kind", ["AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP"]
)
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    path = tmp_path / "picture"
    Image.fromarray(noise).save(path, kind)
    whole = path.read_bytes()
    for part in np.linspace(0, 0.9, 12):
        path.write_bytes(whole[: int(part * len(whole))])
        assert refusal(path).startswith(
            ("expected a whole picture, found a damaged one (", "expected a picture that Pillow")
        )


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_a_damaged_file_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    shape().save(path, kind)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    read = 0
    for _ in range(60):
        damaged = whole.copy()
        where = generator.integers(0, min(len(damaged), 400), 4)
        damaged[where] = generator.integers(0, 256, 4, np.uint8)
        path.write_bytes(damaged.tobytes())
        try:
            read += decode.read(path).mode == "RGB"
        except PictureError:
            continue
    assert read < 60  # some of the damage was seen


def huge(path: Path, width: int, height: int) -> None:
    """Write a PNG of one white bit a pixel, which is a thousandth of its picture's size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    row = b"\0" + b"\xff" * ((width + 7) // 8)
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("edge", [10_000, 20_000])
def test_a_picture_that_would_fill_the_memory(tmp_path: Path, edge: int) -> None:
    """Of the smaller one Pillow only warns."""
    huge(tmp_path / "bomb.png", edge, edge)
    assert (tmp_path / "bomb.png").stat().st_size < 1_000_000
    assert refusal(tmp_path / "bomb.png") == "expected at most 89,478,485 pixels, found more; make it smaller"


def test_no_program_is_started_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch '{tmp_path}/run'\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    Image.new("RGB", (20, 20)).save(tmp_path / "x.eps")
    with pytest.raises(PictureError, match="expected a picture that Pillow opens"):
        decode.read(tmp_path / "x.eps")
    assert not (tmp_path / "run").exists()
