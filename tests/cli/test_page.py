"""report.html in a real browser: it shows its sections, at a phone's and a projector's width, in
light, dark and print, and asks the network for nothing."""

import copy
import json
import os
import re
import unittest

import browser
import lrp

CONFIGURATIONS = [
    {"name": "dense"},
    {"name": "r1", "layers": [1], "tensors": "all", "rank": 1},
    {"name": "all_r4", "layers": "all", "tensors": "all", "rank": 4},
]
SWEEP = [{"name": "unit", "each": "unit", "ranks": 2}, {"name": "layer", "each": "layer", "ranks": 2}]
SECTIONS = ["accuracy", "efficiency", "sensitivity", "spectra", "tensors", "configurations",
            "provenance"]
EVIL = "<i>a&b</i>\"'" + "one_very_long_name_without_a_break_" * 8

OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true)"

# What is wider than the page, or sticks out of it and out of no box that scrolls.
OVERFLOW = """(() => {
  const root = document.documentElement, found = [];
  if (root.scrollWidth > root.clientWidth) found.push('page ' + root.scrollWidth);
  for (const e of document.querySelectorAll('body *')) {
    const r = e.getBoundingClientRect();
    if (r.width === 0 || e.closest('.scroll, pre')?.contains(e) && !e.matches('.scroll, pre'))
      continue;
    if (r.right > root.clientWidth + 0.5 || r.left < -0.5)
      found.push(e.tagName + ' ' + (e.className.baseVal ?? e.className) + ' ' + r.right);
  }
  return found;
})()"""

# Texts of charts that lie over each other or outside of their drawing.
CHART_TEXTS = """(() => {
  const found = [];
  for (const svg of document.querySelectorAll('svg')) {
    const box = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(e => [e, e.getBoundingClientRect()]);
    for (const [e, r] of texts) {
      if (r.left < box.left - 1 || r.right > box.right + 12) found.push('out: ' + e.textContent);
      for (const [f, s] of texts)
        if (e !== f && r.left < s.right - 1 && s.left < r.right - 1 &&
            r.top < s.bottom - 3 && s.top < r.bottom - 3) found.push('over: ' + e.textContent);
    }
  }
  return found;
})()"""

# Texts whose contrast to what is behind them is below WCAG's AA for normal text.
CONTRAST = """(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.03928 ? v / 12.92 :
      ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    if (['title', 'desc'].includes(e.tagName)) continue;
    const style = getComputedStyle(e), inside = e.closest('svg');
    const c = parse(inside ? style.fill : style.color).slice(0, 3);
    const [a, b] = [light(c), light(behind(inside ?? e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(e.tagName + ' ' + e.textContent.slice(0, 40));
  }
  return found;
})()"""

# Numbered headings, names of images, ids: what assistive technology needs.
STRUCTURE = """(() => {
  const all = s => [...document.querySelectorAll(s)];
  const ids = all('[id]').map(e => e.id);
  return {
    language: document.documentElement.lang,
    sections: all('main > section').map(e => e.id),
    doubled: ids.filter((id, i) => ids.indexOf(id) !== i),
    dangling: all('nav a').filter(a => !document.querySelector(a.getAttribute('href'))).length,
    levels: all('h1, h2, h3, h4').map(e => Number(e.tagName[1])),
    images: all('svg').length,
    unnamed: all('svg').filter(e => e.getAttribute('role') !== 'img' ||
      !e.querySelector(':scope > title')?.textContent ||
      !e.querySelector(':scope > desc')?.textContent ||
      document.getElementById(e.getAttribute('aria-labelledby')) !==
        e.querySelector(':scope > title')).length,
    tables: all('table').filter(t => !t.caption || !t.querySelector('th[scope=col]')).length,
    foreign: all('script, link:not([rel=icon]), img, iframe, i').map(e => e.outerHTML),
  };
})()"""


def problems(events):
    """What a page wrote to the console, and what it asked for besides itself."""
    bad = [e for e in events if e.get("method") in
           ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
    urls = [e["params"]["request"]["url"] for e in events
            if e.get("method") == "Network.requestWillBeSent"]
    return bad, [url for url in urls if not url.startswith("data:")]


class Page(lrp.Case):
    @classmethod
    def setUpClass(cls):
        if not browser.find():
            if os.environ.get("CI"):
                raise RuntimeError("no Chromium; see .ci/packages")
            raise unittest.SkipTest("no Chromium: apt-get install chromium-headless-shell")
        super().setUpClass()
        cls.out = os.path.join(cls.folder, "whole.out")
        job = lrp.job(cls.model, cls.out, cls.data, configurations=CONFIGURATIONS, sweep=SWEEP,
                      measure={"batch_size": [2, 1], "sequence_length": 8, "new_tokens": 2,
                               "repeats": 1})
        result = lrp.run([lrp.write_job(os.path.join(cls.folder, "whole.yaml"), job)], 2)
        assert result.returncode == 0, result.stderr
        cls.browser = browser.Browser()
        cls.addClassCleanup(cls.browser.close)

    def page(self, name, change=None):
        """Path of a page: that of the run, or one made of its changed tradeoff.json."""
        if not change:
            return os.path.join(self.out, "report.html")
        folder = self.path(name)
        os.makedirs(folder)
        tradeoff = lrp.read_json(self.out, "tradeoff.json")
        change(tradeoff)
        with open(os.path.join(folder, "tradeoff.json"), "w", encoding="utf-8") as f:
            json.dump(tradeoff, f)
        result = lrp.run(["report", folder])
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return os.path.join(folder, "report.html")

    def check(self, path):
        for scheme in ("light", "dark"):
            for width in (400, 900, 1600):
                with self.subTest(scheme=scheme, width=width):
                    events = self.browser.show("file://" + path, width, scheme=scheme)
                    self.browser.evaluate(OPEN_ALL)
                    self.assertEqual(self.browser.evaluate("innerWidth"), width)
                    self.assertEqual(self.browser.evaluate(OVERFLOW), [])
                    self.assertEqual(self.browser.evaluate(CHART_TEXTS), [])
                    self.assertEqual(self.browser.evaluate(CONTRAST), [])
                    self.assertEqual(problems(events), ([], ["file://" + path]))
        structure = self.browser.evaluate(STRUCTURE)
        self.assertEqual(structure["language"], "en")
        self.assertEqual([structure[key] for key in ("doubled", "dangling", "unnamed", "tables",
                                                     "foreign")], [[], 0, 0, 0, []])
        levels = structure["levels"]
        self.assertEqual((levels[0], levels.count(1)), (1, 1))
        self.assertTrue(all(b <= a + 1 for a, b in zip(levels, levels[1:])), levels)
        return structure

    def test_whole(self):
        structure = self.check(self.page("whole"))
        self.assertEqual(structure["sections"], SECTIONS)
        self.assertGreater(structure["images"], 20)
        ink = [self.browser.show("file://" + self.page("whole"), 800, scheme=scheme) and
               self.browser.evaluate("getComputedStyle(document.body).color")
               for scheme in ("light", "dark")]
        self.assertNotEqual(*ink)

    def test_checks_find_what_is_wrong(self):
        """The expressions above do see what they are for."""
        bad = self.path("bad.html")
        with open(bad, "w", encoding="utf-8") as f:
            f.write("<!DOCTYPE html><html lang=en><body style='background:#fff'><div "
                    "style='width:2000px;color:#999' id=a>text</div><p id=a>x</p><svg><text x=5 "
                    "y=20>one</text><text x=9 y=22>two</text></svg><script>console.log(1)"
                    "</script><img src='file:///nowhere.png'></body></html>")
        events = self.browser.show("file://" + bad, 400)
        self.assertTrue(self.browser.evaluate(OVERFLOW))
        self.assertTrue(self.browser.evaluate(CONTRAST))
        self.assertTrue(self.browser.evaluate(CHART_TEXTS))
        structure = self.browser.evaluate(STRUCTURE)
        self.assertEqual((structure["doubled"], structure["unnamed"]), (["a"], 1))
        console, requests = problems(events)
        self.assertTrue(console)
        self.assertEqual(len(requests), 2)

    def test_names_of_others(self):
        """Markup and endless words in names: shown as they are, within the page."""
        def change(tradeoff):
            for row in tradeoff["configurations"] + tradeoff["efficiency"]["rows"]:
                row["configuration"] += EVIL
            for tensor in tradeoff["tensors"]:
                tensor["tensor"] += EVIL
            tradeoff["provenance"]["model"]["directory"] += "/" + EVIL
            tradeoff["provenance"]["job"] += "# " + EVIL * 5
            tradeoff["configurations"][1]["score"] = None
        path = self.page("evil", change)
        self.check(path)
        self.assertIn("<i>a&b</i>\"'one_very", self.browser.evaluate("document.body.innerText"))

    def test_without_most(self):
        def change(tradeoff):
            tradeoff.update(tasks=[], sensitivity=None, efficiency=None, choice=None)
            tradeoff["configurations"] = [
                {k: v for k, v in row.items() if "/" not in k and "score" not in k and
                 "loss" not in k} for row in tradeoff["configurations"][:1]]
        structure = self.check(self.page("little", change))
        self.assertEqual(structure["sections"],
                         ["spectra", "tensors", "configurations", "provenance"])

    def test_many_configurations(self):
        def change(tradeoff):
            row = tradeoff["configurations"][2]
            for i in range(2000):
                other = copy.deepcopy(row)
                other.update(configuration=f"more-{i}", reduction_percent=i * 0.04,
                             parameters=int(row["parameters_dense"] * (1 - i * 0.0004)))
                other["score"] = 0.2 + (i * 7919 % 1000) / 2000
                tradeoff["configurations"].append(other)
        path = self.page("many", change)
        self.assertLess(os.path.getsize(path), 1_000_000)
        self.browser.show("file://" + path, 1600)
        self.assertEqual(self.browser.evaluate(OVERFLOW), [])

    def test_print(self):
        self.browser.show("file://" + self.page("whole"), 1600, scheme="dark")
        path = self.path("page.pdf")
        self.browser.pdf(path)
        with open(path, "rb") as f:
            content = f.read()
        self.assertTrue(content.startswith(b"%PDF"))
        pages = len(re.findall(rb"/Type\s*/Page\b", content))
        self.assertTrue(2 <= pages <= 30, pages)
        self.browser.call("Emulation.setEmulatedMedia", media="print", features=[
            {"name": "prefers-color-scheme", "value": "dark"}])
        paper = self.browser.evaluate("getComputedStyle(document.body).backgroundColor")
        self.assertEqual(paper, "rgb(255, 255, 255)")


class Report(lrp.Case):
    def test_command(self):
        """lrpipe report makes the same page again and prints the table; needs a complete run."""
        job, out = self.job("again")
        first = self.complete(job)
        before = lrp.read(out, "report.html")
        os.remove(os.path.join(out, "report.html"))
        result = lrp.run(["report", out])
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(lrp.read(out, "report.html"), before)
        self.assertIn(result.stdout.strip(), first.stdout)
        self.assertEqual([name for name in os.listdir(out) if "partial" in name], [])

    def test_nothing_to_report(self):
        result = lrp.run(["report", self.folder])
        self.assertEqual(result.returncode, 66, result.stderr)
        self.assertEqual(len(lrp.errors(result)), 1)
        self.assertIn("run the job first", result.stderr)


if __name__ == "__main__":
    lrp.main()
