"""The page of a study in a real browser, its clock in the test's hands: what is an answer."""

import csv
import time

import numpy as np
import pytest
from browser import Browser, has_browser
from studies import lines_of, make_study, run_people

from reverse_correlation import WhiteNoise
from reverse_correlation.people.choices import shown_pair
from reverse_correlation.people.page import write_page
from reverse_correlation.people.page_texts import PageTexts
from reverse_correlation.people.study import Study

pytestmark = pytest.mark.skipif(not has_browser(), reason="no Chromium and chromedriver here")

TRIALS = 40

# Events with times of the test's own: a pair appears when `appear` says so, and a press comes so
# many milliseconds later. The page's own timer would bring the pair too, after 400 ms.
CLOCK = """
window.appear = () => {
  const [waits, frames] = [[], []], own = [setTimeout, requestAnimationFrame];
  clearTimeout(timer); cancelAnimationFrame(frame);
  window.setTimeout = call => waits.push(call);
  window.requestAnimationFrame = call => frames.push(call);
  present();
  const gap = shown;
  waits.shift()();
  const first = shown;
  frames.shift()(1000);
  const drawn = shown;
  frames.shift()(1016);
  [window.setTimeout, window.requestAnimationFrame] = own;
  return [gap, first, drawn, shown];
};
window.at = (event, milliseconds, target = document) => {
  Object.defineProperty(event, "timeStamp", { value: 1016 + milliseconds });
  target.dispatchEvent(event);
};
window.press = (key, milliseconds, more = {}) =>
  at(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }), milliseconds);
window.touch = (side, milliseconds, more = {}) =>
  at(new PointerEvent("pointerdown", { isPrimary: true, button: 0, ...more }), milliseconds,
     document.getElementById(side));
"""


def write_study(path, noise=None, seed=0):
    noise = noise or WhiteNoise(shape=(4, 4, 1), contrast=0.1)
    study = Study(noise, seed, TRIALS, "Which?", "main")
    write_page(study, path, pause=1000)
    return study


@pytest.fixture(scope="module")
def window():
    with Browser(900, 700) as browser:
        yield browser


@pytest.fixture
def browser(window, tmp_path):
    """The page of a study, in which "ann" has just begun."""
    write_study(tmp_path / "study.html")
    window.open(tmp_path / "study.html")
    window.run("localStorage.clear(); takeUp('ann', []);" + CLOCK)
    return window


def answers(browser):
    """[[stimulus, response, milliseconds, side of base plus noise, early presses], ...]"""
    return browser.run("return session.answers")


def test_a_pair_counts_as_shown_from_the_frame_in_which_it_is_on_the_screen(browser):
    assert browser.run("return appear()") == [None, None, None, 1016]


@pytest.mark.parametrize("press", ["press('f', {})", "touch('left', {})"], ids=["key", "touch"])
def test_a_press_too_soon_after_the_pictures_is_no_answer_and_is_counted_once(press, browser):
    browser.run("appear();" + press.format(50))
    assert answers(browser) == [] and browser.run("return early") == 1
    browser.run(press.format(99) + ";" + press.format(101))
    ((_, _, milliseconds, _, early),) = answers(browser)
    assert (milliseconds, early) == (101, 2)
    browser.run("appear();" + press.format(300) + "; appear(); " + press.format(20))
    browser.run(press.format(500) + "; appear(); " + press.format(400))
    assert [row[2:5:2] for row in answers(browser)] == [[101, 2], [300, 0], [500, 1], [400, 0]]


def test_presses_between_two_pairs_are_no_answers_and_are_counted(browser):
    browser.run("appear(); press('f', 300);")  # present() has begun the gap
    browser.run("press('f', 310); touch('right', 320); press('j', 330);")
    assert len(answers(browser)) == 1
    browser.run("appear(); press('j', 300);")
    assert [row[4] for row in answers(browser)] == [0, 3]


def test_early_presses_stand_in_the_file_beside_the_answer_that_they_preceded(browser):
    browser.run("appear(); press('f', 5); press('f', 200); appear(); press('j', 200.6);")
    columns, first, second = (line.split(",") for line in browser.run("return csv()").split())
    first, second = (dict(zip(columns, row, strict=True)) for row in (first, second))
    assert (first["early_presses"], second["early_presses"]) == ("1", "0")
    assert (first["reaction_time_ms"], second["reaction_time_ms"]) == ("200", "201")
    plan = browser.run("return plan.slice(0, 2)")
    assert [r["stimulus_id"] for r in (first, second)] == [str(p["stimulus"]) for p in plan]
    assert [r["plus_side"] for r in (first, second)] == [p["side"] for p in plan]
    assert first["participant_id"] == "ann" and first["condition"] == "main"


def test_keys_and_pictures_answer_for_their_side(browser):
    presses = {
        "press('f', 200)": "left",
        "press('F', 200)": "left",
        "press('ArrowLeft', 200)": "left",
        "touch('left', 200)": "left",
        "press('j', 200)": "right",
        "press('J', 200)": "right",
        "press('ArrowRight', 200)": "right",
        "touch('right', 200)": "right",
    }
    for press in 2 * list(presses):
        browser.run(f"appear(); {press}")
    for row, side in zip(answers(browser), 2 * list(presses.values()), strict=True):
        assert row[1] == (1 if row[3] == side else -1)
    assert {row[1] for row in answers(browser)} == {1, -1}


@pytest.mark.parametrize(
    "press",
    [
        "press('x', 200)",
        "press('Enter', 200)",
        "press('f', 200, {repeat: true})",  # still held from the trial before
        "press('f', 200, {ctrlKey: true})",  # finds something
        "press('ArrowLeft', 200, {altKey: true})",  # goes back
        "press('f', 200, {metaKey: true})",
        "touch('left', 200, {button: 2})",
        "touch('left', 200, {isPrimary: false})",  # a second finger
    ],
)
def test_other_presses_are_neither_answers_nor_early(press, browser):
    browser.run(f"appear(); {press}")
    assert answers(browser) == [] and browser.run("return early") == 0


def test_a_pause_hides_the_pictures_and_the_time_runs_anew(browser):
    browser.run("appear(); press('Escape', 200);")
    assert browser.run("return !document.querySelector('#pause').hidden && shown === null")
    assert browser.run("return canvases().every(c => c.classList.contains('away'))")
    browser.run("press('f', 300); press('j', 300);")
    assert answers(browser) == []
    assert browser.run("return appear()")[3] == 1016
    browser.run("press('f', 250);")
    assert answers(browser)[0][2] == 250


def test_a_page_out_of_sight_makes_a_pause(browser):
    browser.run(
        "appear(); Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange')); delete document.hidden;"
    )
    assert browser.run("return !document.querySelector('#pause').hidden && shown === null")


# ----------------------------------------------------------------------- the order of participants


def plans(browser, *names):
    """Return (stimuli, whether base plus noise stands left) of participants, (names, trials)."""
    found = browser.run("return arguments[0].map(planOf)", names)
    told = [[(each["stimulus"], each["side"] == "left") for each in plan] for plan in found]
    return np.moveaxis(np.array(told), 2, 0)


def test_everyone_has_a_plan_of_their_own_that_stays_the_same(browser):
    stimuli, left = plans(browser, "ann", "bob", "ann")
    assert np.array_equal(stimuli[0], stimuli[2]) and np.array_equal(left[0], left[2])
    for first, second in (stimuli[:2], left[:2]):
        assert not np.array_equal(first, second)
    for each in stimuli:
        assert sorted(each) == list(range(1, TRIALS + 1)) and list(each) != sorted(each)


def test_sides_are_even_in_number_and_cannot_be_foreseen(browser):
    _, left = plans(browser, *(f"p{i}" for i in range(100)))
    assert np.all(left.sum(axis=1) == TRIALS // 2)
    repeats = np.mean(left[:, 1:] == left[:, :-1], axis=1)
    # of n with n / 2 left, the next is the same as the one before with (n / 2 - 1) / (n - 1)
    assert np.mean(repeats) == pytest.approx(19 / 39, abs=0.04) and repeats.min() > 0.15


def test_a_stimulus_stands_at_any_place_and_on_any_side(browser):
    stimuli, left = plans(browser, *(f"p{i}" for i in range(400)))
    for stimulus in (1, 2, TRIALS):
        place = np.argmax(stimuli == stimulus, axis=1)
        share = np.mean(left[np.arange(400), place])
        assert share == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(400))
        deviation = np.sqrt((TRIALS**2 - 1) / 12 / 400)  # of the mean of uniform places
        assert np.mean(place) == pytest.approx((TRIALS - 1) / 2, abs=5 * deviation)


def test_a_stimulus_stands_at_its_own_number_as_often_as_by_chance(browser):
    stimuli, _ = plans(browser, *(f"p{i}" for i in range(400)))
    fixed = np.sum(stimuli == np.arange(1, TRIALS + 1), axis=1)
    assert np.mean(fixed) == pytest.approx(1, abs=5 / np.sqrt(400))  # 1 of any number, +- 1


def test_another_study_has_other_plans(browser, tmp_path):
    first = plans(browser, "ann")
    write_study(tmp_path / "other.html", seed=1)
    browser.open(tmp_path / "other.html")
    assert not np.array_equal(plans(browser, "ann"), first)


# ----------------------------------------------------------------------- pictures


def test_pictures_in_colour_are_shown_as_a_network_is_shown_them(browser, tmp_path):
    base = np.linspace(0.05, 0.95, 45, dtype=np.float32).reshape(5, 3, 3)
    noise = WhiteNoise(shape=(5, 3, 3), base=base, contrast=0.1)
    study = write_study(tmp_path / "colours.html", noise)
    pairs = [255 * stimuli for stimuli in shown_pair(study.noise, study.numbers)]
    assert np.min(pairs) == 0 and np.max(pairs) == 255  # some are clipped
    browser.open(tmp_path / "colours.html")
    code = """const c = document.createElement("canvas");
    draw(c, arguments[0], arguments[1]);
    return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]"""
    for sign, stimuli in zip((1, -1), pairs, strict=True):
        for i, expected in enumerate(stimuli):
            pixels = np.array(browser.run(code, i + 1, sign)).reshape(5, 3, 4)
            assert np.array_equal(pixels[..., :3], np.rint(expected))
            assert np.all(pixels[..., 3] == 255)


def test_a_pixel_is_a_whole_number_of_the_screen_s(browser):
    browser.run("appear()")
    for side in ("#left", "#right"):
        width = browser.run(
            "return document.querySelector(arguments[0] + ' canvas').getBoundingClientRect().width"
            " * devicePixelRatio / 4",
            side,
        )
        assert width >= 1 and abs(width - round(width)) < 1e-3


# ----------------------------------------------------------------------- before the trials


def test_practice_comes_first_and_is_no_answer(browser, tmp_path):
    study = Study(WhiteNoise(shape=(4, 4, 1), contrast=0.1), 0, TRIALS, "Which?", "main")
    write_page(study, tmp_path / "s.html", 1000, PageTexts((), ("Yes?",), ("Try.",), 2))
    browser.open(tmp_path / "s.html")
    browser.run("localStorage.clear();" + CLOCK)
    browser.run("document.querySelector('#participant').value = 'ann'")
    browser.click("#begin")
    assert browser.run("return session === null")  # before consent
    browser.click("#agree")
    browser.click("#begin")
    assert browser.run("return !document.querySelector('#practice').hidden")
    for done in (1, 2):
        assert browser.run("appear(); return document.querySelector('#count').textContent") == (
            f"practice {done} of 2"
        )
        browser.run("press('f', 20); press('f', 200);")
    assert browser.run("return !document.querySelector('#ready').hidden")
    assert answers(browser) == [] and browser.run("return early") == 0
    browser.run("press(' ', 0); appear(); press('f', 200);")
    ((stimulus, *_, early),) = answers(browser)
    assert early == 0 and stimulus == browser.run("return plan[0].stimulus")
    assert browser.text("#count") == f"2 of {TRIALS}"
    kept = browser.run("return kept().answers.length")
    browser.run("takeUp('ann', kept().answers); begin();")  # as after a reload
    assert kept == 1 and browser.text("#count") == f"2 of {TRIALS}"


def at_address(browser, path, query):
    """Open a page with a query, and return the code that it proposes, and whether it is fixed."""
    browser.driver.get(path.resolve().as_uri() + query)
    return browser.run(
        "const f = document.querySelector('#participant'); return [f.value, f.readOnly]"
    )


def test_a_code_comes_from_the_page_s_address(browser, tmp_path):
    path = tmp_path / "study.html"
    assert at_address(browser, path, "?id=a-b_1") == ["a-b_1", True]
    browser.click("#begin")
    assert browser.run("return session.participant") == "a-b_1"
    browser.run("session.answers = [[1, 1, 200, 'left', 0]]; keep(); forget();")
    assert (
        browser.run("return document.querySelector('#participant').value") == ""
    )  # the next one's
    assert at_address(browser, path, "") == ["", False]


@pytest.mark.parametrize("query", ["?id=a%20b", "?id=", "?id=%3Cb%3E", "?id=" + 41 * "x"])
def test_a_code_that_is_none_is_not_taken_and_said(query, browser, tmp_path):
    assert at_address(browser, tmp_path / "study.html", query) == ["", False]
    assert browser.run("return !document.querySelector('#unreadable').hidden")


# ----------------------------------------------------------------------- whole sessions


def until(browser, condition, seconds=10):
    """Wait until JavaScript finds a condition true."""
    end = time.monotonic() + seconds
    while not browser.run(f"return Boolean({condition})"):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def come_back(browser, page):
    """Open a page again, once the browser has had time to write what it keeps."""
    time.sleep(1.5)  # half a second was once not enough on a busy machine
    browser.open(page)
    until(browser, "!document.querySelector('#back').hidden")


def pixels(browser, side):
    """Return the grey levels of a picture."""
    code = """const c = document.querySelector(arguments[0] + " canvas");
    return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]"""
    return np.array(browser.run(code, side)).reshape(8, 8, 4)[..., 0]


def answered(browser):
    return browser.run("return session.answers.length")


def test_a_whole_session_in_a_browser(tmp_path, capsys):
    folder = tmp_path / "study"
    question = 'Which is <b>"better"</b> & brighter?'
    flags = ["--trials", 20, "--pause", 8, "--question", question, "--contrast", 0.2]
    study = make_study(folder, capsys, *flags)
    levels = [255 * shown[..., 0] for shown in shown_pair(study.noise, study.numbers)]
    with Browser(900, 700, tmp_path) as browser:
        browser.open(folder / "study.html")
        assert browser.text("#trial h1") == question
        browser.find("#participant").send_keys("no spaces")
        browser.click("#begin")
        assert browser.run("return document.querySelector('#trial').hidden")
        browser.run("document.querySelector('#participant').value = 'p-1'")
        browser.click("#begin")
        for trial in range(20):
            until(browser, "shown !== null")
            stimulus, plus = browser.run(
                "const p = plan[arguments[0]]; return [p.stimulus, p.side]", trial
            )
            left, right = (pixels(browser, side) for side in ("#left", "#right"))
            first, second = (left, right) if plus == "left" else (right, left)
            assert np.allclose(first, levels[0][stimulus - 1])
            assert np.allclose(second, levels[1][stimulus - 1])
            brighter = "left" if left.mean() >= right.mean() else "right"
            until(browser, "performance.now() - shown > 150")
            if trial % 3 == 0:
                browser.touch(f"#{brighter}")
            else:
                key = {"left": "f", "right": "j"}[brighter]
                browser.press(key, key)  # the second press finds no pictures
            assert answered(browser) == trial + 1
            if trial in (7, 15):  # a break, where keys are not answers
                browser.press("f")
                assert answered(browser) == trial + 1
                assert browser.text("#done") == str(trial + 1)
                browser.press(" ")
            if trial == 4:  # a reload in the middle
                come_back(browser, folder / "study.html")
                assert browser.text("#answered") == "5" and browser.text("#returning") == "p-1"
                browser.click("#resume")
            if trial == 10:  # a pause that the participant takes
                until(browser, "shown !== null")
                browser.press("\ue00c")  # Escape
                assert browser.text("#done") == "11"
                browser.click("#go")
        until(browser, "!document.querySelector('#end').hidden")
        path = tmp_path / f"choices_p-1_{study.id}.csv"
        end = time.monotonic() + 10
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert browser.run("return document.querySelector('#text').value") == path.read_text()
        complaints = browser.complaints()
        assert not [text for text in complaints if "willReadFrequently" not in text]  # this test's
        browser.click("#next")
        assert browser.run("return !document.querySelector('#start').hidden && kept() === null")
    with open(path) as file:
        rows = list(csv.DictReader(file))
    assert [int(row["idx"]) for row in rows] == list(range(1, 21))
    assert sorted(int(row["stimulus_id"]) for row in rows) == list(range(1, 21))
    assert sum(row["plus_side"] == "left" for row in rows) == 10
    means = levels[0].mean(axis=(1, 2)) - levels[1].mean(axis=(1, 2))
    for row in rows:
        difference = means[int(row["stimulus_id"]) - 1]
        assert difference == 0 or int(row["responses"]) == np.sign(difference)
    assert all(150 <= int(row["reaction_time_ms"]) < 10_000 for row in rows)
    assert sum(int(row["early_presses"]) for row in rows) > 5
    code, out, error = run_people(
        capsys, "read", path, "--study", folder / "study.npz", "--out", folder
    )
    assert code == 0 and "participants: 1" in out, error


def test_a_session_that_somebody_else_ends_is_downloaded_apart(tmp_path, capsys):
    study = make_study(tmp_path / "study", capsys)
    with Browser(900, 700, tmp_path) as browser:
        browser.open(tmp_path / "study/study.html")
        browser.run("document.querySelector('#participant').value = 'ann'")
        browser.click("#begin")
        for _ in range(3):
            until(browser, "shown !== null && performance.now() - shown > 150")
            browser.press("j")
        come_back(browser, tmp_path / "study/study.html")
        browser.click("#other")
        browser.click("#leave")
        path = tmp_path / f"choices_ann_{study.id}.csv.incomplete"
        end = time.monotonic() + 10
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert len(lines_of(path)) == 4
        assert browser.run("return !document.querySelector('#start').hidden && kept() === null")
    code, _, error = run_people(capsys, "read", path, "--study", tmp_path / "study/study.npz")
    assert code == 2 and "ann has 3 of 40 trials" in error
