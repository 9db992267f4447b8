"""What is in a figure, as a person sees it in TensorBoard."""

from matplotlib.figure import Figure
from matplotlib.text import Text

SHOWN = 350  # pixels: the width at which TensorBoard shows an image, see tests/browser


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def legible(figure: Figure) -> bool:
    scale = SHOWN / figure.get_figwidth() / 72  # pixels a point
    return min(float(text.get_fontsize()) * scale for text in texts(figure)) >= 9
