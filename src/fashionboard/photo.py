"""A picture's file opened: any format that Pillow knows, as it is meant to be seen, on white."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fashionboard.errors import PictureError

# the largest value of a pixel that is no byte, in the order in which they are tried
_TOPS = {"F": (1, 255, 65_535), "I": (255, 65_535), "I;16": (65_535,)}


def read(path: Path) -> Image.Image:
    """Return the first picture in a file, of mode RGB, turned as its EXIF orientation says, laid on white.

    16 or 32 bits of grey become 8.

    Raises:
        PictureError: there is no such file, it holds no picture or a damaged one, or one of more than
            Image.MAX_IMAGE_PIXELS pixels, which may be a small file that fills the memory.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        # a pipe would be waited for
        raise PictureError(f"{path}: expected a picture, found no ordinary file")
    try:
        with warnings.catch_warnings():
            # of much that does not matter here; a bomb that Pillow would only warn of does
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return _on_white(picture)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise PictureError(f"{path}: expected at most {limit} pixels, found more; make it smaller") from None
    except UnidentifiedImageError:
        found = "something else" if path.stat().st_size else "an empty file"
        raise PictureError(f"{path}: expected a picture that Pillow opens, found {found}") from None
    except FileNotFoundError:
        raise PictureError(f"{path}: expected a picture, found no such file; see where it is") from None
    except IsADirectoryError:
        raise PictureError(f"{path}: expected a picture, found a folder; name the files in it") from None
    except Exception as error:
        # what Pillow raises for a damaged file depends on its format, and may be anything
        if isinstance(error, OSError) and error.strerror:
            raise PictureError(f"{path}: cannot be read ({error.strerror})") from None
        reason = str(error) or type(error).__name__
        raise PictureError(f"{path}: expected a whole picture, found a damaged one ({reason})") from None


def _on_white(picture: Image.Image) -> Image.Image:
    ImageOps.exif_transpose(picture, in_place=True)
    kind = picture.mode[:4]  # of I;16B, too
    if kind in _TOPS:
        values = np.nan_to_num(np.asarray(picture, np.float64))
        top = next((top for top in _TOPS[kind] if values.max() <= top), values.max())
        return Image.fromarray(np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        own = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", own.size, "white"), own)
    return picture.convert("RGB")
