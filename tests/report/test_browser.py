"""The page as Chromium shows it: formulas typeset, no errors, no sideways scrolling, with and without JavaScript."""

import base64
import os
import shutil
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

_PATIENCE = 60.0  # seconds for a page to load
REQUIRED = "SYMSI_BROWSER" in os.environ
RAW = ("$$", "\\frac", "<m", "&lt;", "&#", "</", "None", "undefined", "NaN")


def missing() -> str:
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"there is no {program} here"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()) and not REQUIRED, reason=missing() or "Chromium is there")


class Browser:
    """Chromium with a page open; sizes, colour scheme and scripts are set before it loads."""

    def __init__(self) -> None:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service

        options = ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium") or ""
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def open(self, page: Path, width: int = 1440, scheme: str = "light", scripts: bool = True) -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", {"media": "", "features": features})
        self.command("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.driver.get(page.as_uri())
        deadline = time.monotonic() + _PATIENCE
        while not self.value("document.readyState === 'complete' && document.scrollingElement !== null"):
            assert time.monotonic() < deadline, f"{page} is not loaded after {_PATIENCE} s"
            time.sleep(0.05)

    def command(self, name: str, arguments: dict) -> dict:
        return self.driver.execute_cdp_cmd(name, arguments)

    def fonts(self, selector: str) -> set[str]:
        """The families in which the first such element is set."""
        for domain in ("DOM", "CSS"):
            self.command(f"{domain}.enable", {})
        root = self.command("DOM.getDocument", {})["root"]["nodeId"]
        node = self.command("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        return {font["familyName"] for font in self.command("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]}

    def value(self, expression: str) -> object:
        """Evaluate through the inspector, which works where the page's own scripts are off."""
        found = self.command("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    opened = Browser()
    yield opened
    opened.driver.quit()


def set_slider(browser: Browser, name: str, value: int) -> None:
    browser.value(
        f"(() => {{ const e = document.getElementById('explore-{name}'); e.value = {value};"
        "e.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def readout(browser: Browser) -> list[str]:
    return browser.value("[...document.querySelectorAll('.readout dd')].map(e => e.textContent)")


def test_every_formula_has_a_box(browser: Browser, report: Path) -> None:
    browser.open(report)
    boxes = browser.value(
        "[...document.querySelectorAll('math')].map(e => e.getBoundingClientRect()).map(r => [r.width, r.height])"
    )
    assert len(boxes) > 100
    assert all(width > 2 and height > 4 for width, height in boxes)


def test_fractions_and_roots_are_drawn_and_not_written(browser: Browser, report: Path) -> None:
    browser.open(report)
    assert browser.value(
        "[...document.querySelectorAll('mfrac')].every(e => {"
        "const [a, b] = [...e.children].map(c => c.getBoundingClientRect()); return a.bottom <= b.top + 1; })"
    )


def test_no_markup_is_left_in_the_visible_text(browser: Browser, report: Path) -> None:
    browser.open(report)
    text = browser.value("document.body.innerText")
    assert "The lazy condition" in text
    assert [raw for raw in RAW if raw in text] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_the_page_does_not_scroll_sideways(browser: Browser, report: Path, width: int, scheme: str) -> None:
    browser.open(report, width, scheme)
    assert browser.value("document.scrollingElement.scrollWidth") <= width
    assert browser.value("innerWidth") == width


def test_dark_is_dark_and_light_is_light(browser: Browser, report: Path) -> None:
    grey = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    browser.open(report, scheme="light")
    assert browser.value(grey) > 240
    browser.open(report, scheme="dark")
    assert browser.value(grey) < 40


def test_nothing_is_reported_on_the_console(browser: Browser, report: Path) -> None:
    browser.driver.get_log("browser")
    browser.open(report)
    set_slider(browser, "t", 10)
    assert browser.driver.get_log("browser") == []


def test_the_numbers_follow_t(browser: Browser, report: Path) -> None:
    browser.open(report)
    before = readout(browser)
    set_slider(browser, "t", 50)
    assert readout(browser) == ["1.0000", "1.0000", "0.0000", "1.0000"] != before


def test_the_numbers_and_curves_follow_kappa(browser: Browser, report: Path) -> None:
    browser.open(report)
    curve = "document.querySelector('polyline.alpha').getAttribute('points')"
    before = readout(browser), browser.value(curve)
    set_slider(browser, "kappa", 0)
    assert readout(browser)[2:] == ["0.8660", "0.5000"]  # kappa = 0, beta = t: alpha = sqrt(1 - t^2)
    assert browser.value(curve) != before[1]
    assert before[0][2:] == ["0.5000", "0.5000"]  # kappa = 1: alpha = sqrt(t (1 - t))


def test_curves_have_a_size(browser: Browser, report: Path) -> None:
    browser.open(report)
    heights = browser.value("[...document.querySelectorAll('polyline')].map(e => e.getBoundingClientRect().height)")
    assert len(heights) == 4
    assert min(heights) > 50


def test_without_javascript_all_is_there_but_the_controls(browser: Browser, report: Path) -> None:
    browser.open(report, scripts=False)
    assert browser.value("document.querySelector('#explore-controls').getBoundingClientRect().height") == 0
    assert browser.value("document.querySelector('noscript p').getBoundingClientRect().height") > 0
    assert browser.value("document.querySelector('polyline').getBoundingClientRect().height") > 50
    assert "0.5000" in readout(browser)
    assert "residual 0 by" in browser.value("document.body.innerText")


def test_headings_labels_and_pictures_are_named(browser: Browser, report: Path) -> None:
    browser.open(report)
    levels = browser.value("[...document.querySelectorAll('h1,h2,h3')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert browser.value("[...document.querySelectorAll('select,input')].every(e => e.labels.length === 1)")
    assert browser.value("[...document.querySelectorAll('img')].every(e => e.alt && e.naturalWidth > 0)")
    links = "[...document.querySelectorAll('nav a, table a')].map(e => document.querySelector(e.hash) !== null)"
    assert all(browser.value(links))


# The page's own fonts as they are found here, fonts for text only, and mathematical ones from narrow to the widest.
FONTS = ("as found", "DejaVu Sans", "monospace", "STIX Math", "DejaVu Math TeX Gyre")
GENERIC = ("monospace",)


def print_preview(browser: Browser, page: Path, font: str, width: int) -> None:
    browser.open(page, width=width)
    browser.command("Emulation.setEmulatedMedia", {"media": "print"})
    if font != "as found":
        family = font if font in GENERIC else f"'{font}'"
        style = f'{{textContent: "math {{ font-family: {family} !important }}"}}'
        browser.value(f"document.head.append(Object.assign(document.createElement('style'), {style}))")
    if font not in ("as found", *GENERIC) and font not in browser.fonts("math mn"):
        pytest.skip(f"{font} is not installed")


@pytest.fixture(params=["report", pytest.param("long_report", marks=pytest.mark.slow)])
def each_report(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("font", FONTS)
def test_no_formula_leaves_a_printed_page(browser: Browser, each_report: Path, font: str) -> None:
    print_preview(browser, each_report, font, width=660)
    right = "Math.max(...[...document.querySelectorAll('math')].map(e => e.getBoundingClientRect().right))"
    assert browser.value(right) <= 660
    assert browser.value("document.scrollingElement.scrollWidth") <= 660
    sizes = "[...document.querySelectorAll('math')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert min(browser.value(sizes)) >= 12  # px: what fits is as large as the text


@pytest.mark.parametrize("font", FONTS)
def test_on_small_paper_formulas_shrink(browser: Browser, each_report: Path, font: str) -> None:
    print_preview(browser, each_report, font, width=440)  # A5
    outside = (
        "[...document.querySelectorAll('.formula')].filter(e => [...e.querySelectorAll('math')].some("
        "m => m.getBoundingClientRect().right > e.getBoundingClientRect().right + 1)).map(e => e.textContent)"
    )
    assert browser.value(outside) == []


def test_it_prints_on_several_pages_with_proofs_and_without_controls(browser: Browser, report: Path) -> None:
    browser.open(report)
    pdf = base64.b64decode(browser.command("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type /Page/") > 5
