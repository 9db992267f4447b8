"""TensorBoard as a person has it: in a real chromium, driven by Selenium, without a window."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = CHROMIUM is None or DRIVER is None
REASON = "no chromium: apt-get install chromium chromium-driver"

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)
# TensorBoard is made of elements with trees of their own, which selectors do not enter
_FIND = """
    const found = [];
    const search = root => {
        for (const element of root.querySelectorAll('*')) {
            if (element.matches(arguments[0])) found.push(element);
            if (element.shadowRoot) search(element.shadowRoot);
        }
    };
    const start = arguments[1] || document;
    search(start);
    if (start.shadowRoot) search(start.shadowRoot);
    return found;
"""
_PIXELS = """
    const image = arguments[0], canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
"""


class Page:
    """One browser's page on one TensorBoard."""

    def __init__(self, driver: webdriver.Chrome, address: str = "") -> None:
        self.driver = driver
        self.address = address

    def open(self, tab: str) -> None:
        """Open a tab as if for the first time; tab: TensorBoard's name of it, with settings after `&`."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}/#{tab}")

    def find(self, selector: str, within: WebElement | None = None) -> list[WebElement]:
        """Return all elements that a CSS selector names, in order, through every open shadow root."""
        found: list[WebElement] = self.driver.execute_script(_FIND, selector, within)
        return found

    def wait(self, selector: str, count: int = 1, within: WebElement | None = None) -> list[WebElement]:
        """Return the elements when there are at least `count`.

        Raises:
            AssertionError: there are fewer after half a minute.
        """
        end = time.monotonic() + 30
        while len(found := self.find(selector, within)) < count:
            assert time.monotonic() < end, f"expected {count} of `{selector}`, found {len(found)}"
            time.sleep(0.2)
        return found

    def script(self, code: str, *arguments: Any) -> Any:
        """Run JavaScript in the page and return what it returns."""
        return self.driver.execute_script(code, *arguments)

    def eventually(self, code: str, *arguments: Any) -> Any:
        """Return what JavaScript returns when it is true.

        Raises:
            AssertionError: it is not within half a minute.
        """
        end = time.monotonic() + 30
        while not (found := self.script(code, *arguments)):
            assert time.monotonic() < end, f"still {found!r}: {code}"
            time.sleep(0.2)
        return found

    def pixels(self, image: WebElement) -> npt.NDArray[np.uint8]:
        """Return what an <img> shows in its natural size, uint8 (height, width, 3)."""
        self.eventually("return arguments[0].complete && arguments[0].naturalWidth", image)
        width, height = self.script("return [arguments[0].naturalWidth, arguments[0].naturalHeight]", image)
        flat = np.array(self.script(_PIXELS, image), np.uint8)
        return flat.reshape(height, width, 4)[:, :, :3]

    def hover(self, element: WebElement, x: float, y: float) -> None:
        """Move the mouse over an element, to a place given from 0 to 1 of its width and height."""
        size = element.size
        right, down = (x - 0.5) * size["width"], (y - 0.5) * size["height"]
        ActionChains(self.driver, duration=0).move_to_element_with_offset(
            element, round(right), round(down)
        ).perform()

    def double_click(self, element: WebElement) -> None:
        """Click an element twice, where it is on the page."""
        ActionChains(self.driver).double_click(element).perform()

    def errors(self) -> list[str]:
        """Return what the browser's console has of errors since the last call."""
        log: list[dict[str, Any]] = self.driver.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def screenshot(self, path: Path) -> None:
        """Save what is seen as PNG."""
        self.driver.save_screenshot(str(path))


@contextlib.contextmanager
def chromium(width: int = 1400, height: int = 1000) -> Iterator[webdriver.Chrome]:
    """Start a browser with a profile of its own, and end it; width, height: of the page, in pixels."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for option in (*_OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(option)
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield driver
        finally:
            driver.quit()
