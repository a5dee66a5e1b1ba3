"""Headless Chromium, where it is installed."""

import os
import shutil
from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def has_browser():
    """Whether Chromium, its driver and selenium are here; in CI they must be."""
    if os.environ.get("CI") == "true":
        return True
    try:
        import selenium  # noqa: F401
    except ImportError:
        return False
    return bool(CHROMIUM and shutil.which("chromedriver"))


class Browser:
    """A window of so many pixels, which is gone at the end."""

    def __init__(self, width, height, downloads=None):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        for flag in (*FLAGS, f"--window-size={width},{height}"):
            options.add_argument(flag)
        options.binary_location = CHROMIUM
        if downloads:
            options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def open(self, path):
        """Open a file."""
        self.driver.get(Path(path).resolve().as_uri())

    def run(self, code, *arguments):
        """Run JavaScript and return what it returns."""
        return self.driver.execute_script(code, *arguments)

    def find(self, selector):
        """Return the first element, in view."""
        element = self.driver.find_element("css selector", selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def text(self, selector):
        """Return the text of the first element."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def texts(self, selector):
        """Return the texts of all elements."""
        code = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
        return self.run(code, selector)

    def click(self, selector):
        """Click the first element."""
        self.find(selector).click()

    def touch(self, selector):
        """Touch the middle of the first element with a finger."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.interaction import POINTER_TOUCH
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        finger = ActionBuilder(self.driver, mouse=PointerInput(POINTER_TOUCH, "finger"))
        finger.pointer_action.move_to(self.find(selector)).pointer_down().pointer_up()
        finger.perform()

    def point_at(self, selector, across, down):
        """Move the pointer to a place in an element, by shares of its width and height."""
        from selenium.webdriver.common.action_chains import ActionChains

        element = self.find(selector)
        width, height = element.size["width"], element.size["height"]
        x, y = (across - 0.5) * width, (down - 0.5) * height
        ActionChains(self.driver).move_to_element_with_offset(element, round(x), round(y)).perform()

    def press(self, *keys):
        """Press keys, one after another."""
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def complaints(self):
        """Return what the browser's console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]
