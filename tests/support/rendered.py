"""A Markdown text as TensorBoard's Text tab shows it, with TensorBoard's own code."""

import warnings
from html.parser import HTMLParser

with warnings.catch_warnings():
    # TensorBoard brings a library that names itself outdated
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorboard.plugin_util import markdown_to_safe_html


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags, self.cells = "", [""], list[str]()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.cells:
            self.cells[-1] += data


def read(markdown: str) -> tuple[str, set[str], list[str]]:
    """Return what is read of a text, the names of all HTML elements in it, and the texts of its cells."""
    reader = _Reader()
    reader.feed(markdown_to_safe_html(markdown))
    reader.close()
    return reader.text, set(reader.tags[1:]), [cell.strip() for cell in reader.cells]
