"""The images that a net is trained or validated on, from where they lie to where it is."""

import torch
from torch import Tensor

from fashionboard.data import idx, mapped
from fashionboard.data.dataset import Images


class Feed:
    """Labelled images: whole on a net's device if they may, mapped ones on disk until they are asked for.

    device: where the net is. home: where the images are: `device`, or the CPU.
    """

    def __init__(self, images: Images, device: torch.device, on_cpu: bool = False) -> None:
        """on_cpu: whether they stay on the CPU, to be changed there."""
        self.device = device
        self._mapped = images.pixels if idx.is_mapped(images.pixels) else None
        self.home = torch.device("cpu") if on_cpu or self._mapped is not None else device
        self._pixels = torch.from_numpy(images.pixels).to(self.home)
        self._labels = torch.from_numpy(images.labels).to(self.home, torch.int64)

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def size(self) -> int:
        """Pixels of an image's edge."""
        return self._pixels.shape[1]

    @property
    def values(self) -> int:
        """How many numbers an image has."""
        return self._pixels[0].numel()

    def at(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images at `positions`, int64 (n,), and their labels, all where the images are.

        Returns uint8 (n, size, size), or (n, size, size, 3) in colour, and int64 (n,).
        """
        if self._mapped is None:
            return self._pixels[positions], self._labels[positions]
        return torch.from_numpy(mapped.take(self._mapped, positions.numpy())), self._labels[positions]
