"""Every command of README.md and docs/ is run, and what the pages list is what the program has."""

import glob
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import markdown

ROOT = os.environ["LRP_SOURCE"]
LRPIPE = os.environ["LRPIPE_BINARY"]
SYNTH_MODEL = os.environ["SYNTH_MODEL"]
BUILD = os.environ["LRP_BUILD"]
CMAKE = os.environ["CMAKE"]
MAN_PAGE = os.path.join(BUILD, "lrpipe.1")
PAGES = ["README.md", "CONTRIBUTING.md"] + sorted(
    os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, "docs", "*.md")))
TIMEOUT_S = 300

# For plans of a model that no test can hold: they need config.json only.
LLAMA_2_7B = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
    "vocab_size": 32000, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
    "hidden_act": "silu", "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}

count = {"run": 0, "skipped": 0, "not run": 0}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def environment():
    env = {k: v for k, v in os.environ.items() if not k.startswith("LRPIPE_")}
    env.update(OMP_NUM_THREADS="1", LC_ALL="C.UTF-8")
    return env


def lrpipe(*args):
    return subprocess.run([LRPIPE, *args], env=environment(), check=True, text=True,
                          stdout=subprocess.PIPE).stdout


class Workplace(unittest.TestCase):
    """A copy of the source tree's root after `make demo`, with lrpipe on PATH."""

    @classmethod
    def setUpClass(cls):
        if not hasattr(Workplace, "folder"):
            Workplace.prepare()

    @classmethod
    def prepare(cls):
        cls.folder = tempfile.mkdtemp(prefix="lrpipe-docs-")
        unittest.addModuleCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.prepared = os.path.join(cls.folder, "prepared")
        cls.bin = os.path.join(cls.folder, "bin")
        os.makedirs(os.path.join(cls.prepared, "build", "demo"))
        os.makedirs(cls.bin)
        for binary in (LRPIPE, SYNTH_MODEL):
            os.symlink(binary, os.path.join(cls.bin, os.path.basename(binary)))
        shutil.copytree(os.path.join(ROOT, "jobs"), os.path.join(cls.prepared, "jobs"))
        cls.write("models/Llama-2-7b-hf/config.json", json.dumps(LLAMA_2_7B))
        cls.bash(cls.prepared, "mpirun -np 2 lrpipe --quiet jobs/demo.yaml")
        cls.run_folder = os.path.join(cls.prepared, "build", "demo", "run")

    @classmethod
    def write(cls, name, text):
        path = os.path.join(cls.prepared, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    @classmethod
    def bash(cls, folder, script, code=0):
        """Output of both kinds of a script that ends with that exit code."""
        env = environment()
        env.update(PATH=cls.bin + os.pathsep + env["PATH"], HOME=cls.folder)
        result = subprocess.run(["bash", "-ec", script], cwd=folder, env=env, timeout=TIMEOUT_S,
                                text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != code:
            raise AssertionError(f"exit code {result.returncode}, expected {code}:\n{script}\n"
                                 + result.stdout)
        return result.stdout


class Commands(Workplace):
    def run_block(self, block, folder):
        code = int(block.marks.get("exits", 0))
        if block.language == "python":
            block_file = os.path.join(folder, "block.py")
            with open(block_file, "w", encoding="utf-8") as f:
                f.write(block.text)
            self.bash(folder, f"{sys.executable} block.py", code)
            return
        for command, expected in block.commands():
            output = self.bash(folder, command, code)
            if expected and not markdown.matches(expected, output):
                self.fail(f"{block}: {command}\nexpected:\n{expected}\ngot:\n{output}")

    def follow(self, page, folder):
        """Do what a page says, from its beginning."""
        for block in markdown.blocks(page, read(page)):
            if "file" in block.marks:
                with open(os.path.join(folder, block.marks["file"]), "w", encoding="utf-8") as f:
                    f.write(block.text)
            if block.language not in ("sh", "console", "python"):
                continue
            if "not run" in block.marks:
                count["not run"] += 1
                print(f"not run: {block}: {block.marks['not run']}")
            elif not self.is_there(block.marks.get("needs")):
                count["skipped"] += 1
                print(f"skipped: {block}: there is no {block.marks['needs']}")
            else:
                with self.subTest(block=str(block)):
                    self.run_block(block, folder)
                count["run"] += 1

    @staticmethod
    def is_there(program):
        return not program or shutil.which(program) or importlib.util.find_spec(program)

    def test_pages(self):
        for page in PAGES:
            folder = os.path.join(self.folder, page.replace("/", "."))
            shutil.copytree(self.prepared, folder)
            self.follow(page, folder)
        print(", ".join(f"{n} blocks {what}" for what, n in count.items()))
        self.assertGreater(count["run"], 20)


class Links(unittest.TestCase):
    def test_targets_are_there(self):
        for page in PAGES + ["CHANGELOG.md"]:
            for link in markdown.links(read(page)):
                if re.match(r"[a-z]+:", link):
                    continue
                path, _, anchor = link.partition("#")
                target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
                with self.subTest(page=page, link=link):
                    self.assertTrue(os.path.exists(os.path.join(ROOT, target)))
                    if anchor:
                        self.assertIn(anchor, markdown.anchors(read(target)))

    def test_index_names_every_page(self):
        linked = {os.path.normpath(os.path.join("docs", link))
                  for link in markdown.links(read("docs/index.md"))}
        self.assertEqual(set(PAGES) - {"docs/index.md"} - linked, set())

    def test_make_targets_are_there(self):
        targets = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), flags=re.MULTILINE))
        for page in PAGES:
            for target in re.findall(r"(?:^|`)make ([a-z0-9-]+)", read(page), flags=re.MULTILINE):
                self.assertIn(target, targets, page)


class Tables(Workplace):
    """What a page lists is what the program has."""

    def assert_names(self, page, names):
        text = read(page)
        for name in names:
            self.assertIn(f"`{name}`", text, page)

    def test_keys_of_the_job(self):
        self.assertIn("\n\n" + lrpipe("keys") + "\n", read("docs/job.md"))

    def section(self, name):
        return re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH)", lrpipe("man"), re.MULTILINE | re.DOTALL)[1]

    def test_tasks(self):
        text = read("docs/evaluation.md")
        tasks = re.findall(r"^\.B (\S+)\n\\&(\S*)", self.section("TASKS").replace("\\-", "-"),
                           flags=re.MULTILINE)
        self.assertGreater(len(tasks), 13)
        for task, file in tasks:
            if "/" in file and not task.startswith("mmlu"):
                self.assertRegex(text, rf"(?m)^\|.*`{task}`.*\|.*`{re.escape(file.rstrip(','))}`")
            elif "/" not in file:
                self.assertIn(f"`{task}`", text)

    def test_exit_codes(self):
        codes = re.findall(r"^ +(\d+)  (.+)$", lrpipe("--help").partition("Exit codes:")[2],
                           flags=re.MULTILINE)
        self.assertGreater(len(codes), 8)
        for code, _ in codes:
            self.assertRegex(read("docs/running.md"), rf"(?m)^\| {code} \|")

    def test_files(self):
        files = set()
        for folder, _, names in os.walk(self.run_folder):
            inside = folder != self.run_folder
            files |= {"<configuration>/" + re.sub("samples_.*", "samples_<task>.jsonl", n)
                      if inside else n for n in names}
        self.assertIn("<configuration>/results.json", files)
        self.assert_names("docs/outputs.md", files)
        listed = re.findall(r"^\.B (\S+)$", self.section("FILES"), flags=re.MULTILINE)
        self.assertGreater(len(listed), 8)
        self.assert_names("docs/outputs.md",
                          [f.replace("CONFIGURATION", "<configuration>").replace("TASK", "<task>")
                           for f in listed])

    def test_columns_and_keys(self):
        with open(os.path.join(self.run_folder, "tensors.csv"), encoding="utf-8") as f:
            self.assert_names("docs/outputs.md", f.readline().strip().split(","))
        with open(os.path.join(self.run_folder, "tradeoff.csv"), encoding="utf-8") as f:
            self.assert_names("docs/outputs.md", [c for c in f.readline().strip().split(",")
                                                  if "/" not in c])
        for name in ("progress.json", "tradeoff.json", "dense/results.json"):
            with open(os.path.join(self.run_folder, name), encoding="utf-8") as f:
                self.assert_names("docs/outputs.md", json.load(f))
        self.bash(self.prepared, "lrpipe --quiet jobs/demo.yaml --set output=../samples "
                  "--set sweep=[] --set evaluate.limit=2 --set evaluate.log_samples=true")
        samples = os.path.join(self.folder, "samples", "dense", "samples_arc_easy.jsonl")
        with open(samples, encoding="utf-8") as f:
            self.assert_names("docs/outputs.md", json.loads(f.readline()))

    @unittest.skipUnless(importlib.util.find_spec("h5py"), "needs h5py")
    def test_ledgers(self):
        import h5py
        for name, root in (("factors.h5", {"factors", "spectrum"}), ("evaluation.h5", {"results"})):
            with h5py.File(os.path.join(self.run_folder, name), "r") as f:
                self.assertEqual(set(f), root | {"journal", "plan"})
                self.assert_names("docs/formats.md", ["/plan/" + note for note in f["plan"]])
                self.assert_names("docs/formats.md", f["journal"].dtype.names)
                self.assert_names("docs/formats.md", f.attrs)


class Manual(unittest.TestCase):
    def test_is_the_built_one(self):
        with open(MAN_PAGE, encoding="utf-8") as f:
            self.assertEqual(f.read(), lrpipe("man"))

    def test_names_everything(self):
        page = lrpipe("man").replace("\\-", "-")
        options = re.findall(r"^  (--[a-z_-]+)", lrpipe("--help"), flags=re.MULTILINE)
        commands = re.findall(r"^  ([a-z]+) +\S.*$",
                              lrpipe("--help").partition("Commands:")[2].partition("\n\n")[0],
                              flags=re.MULTILINE)
        keys = re.findall(r"^\| `([^`]+)`", lrpipe("keys"), flags=re.MULTILINE)
        self.assertGreater(min(len(options), len(commands), len(keys)), 9)
        for name in options + commands + keys:
            self.assertRegex(page, rf"(?m)^\.B {re.escape(name)}( |$)")

    def test_is_valid(self):
        if not shutil.which("groff"):
            self.skipTest("needs groff")
        result = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z", MAN_PAGE],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_man_shows_it(self):
        if not shutil.which("man"):
            self.skipTest("needs man")
        shown = subprocess.run(["man", "-l", MAN_PAGE], check=True, text=True, env=environment(),
                               stdout=subprocess.PIPE).stdout
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "JOB FILE",
                        "TASKS", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"):
            self.assertRegex(shown, rf"(?m)^{section}$")


class Installing(unittest.TestCase):
    def test_what_is_installed(self):
        with tempfile.TemporaryDirectory(prefix="lrpipe-install-") as prefix:
            subprocess.run([CMAKE, "--install", BUILD, "--prefix", prefix], check=True,
                           stdout=subprocess.DEVNULL)
            version = subprocess.run([os.path.join(prefix, "bin", "lrpipe"), "--version"], text=True,
                                     check=True, env=environment(), stdout=subprocess.PIPE).stdout
            self.assertEqual(version, lrpipe("--version"))
            for name in ("man/man1/lrpipe.1", "bash-completion/completions/lrpipe",
                         "doc/lrpipe/README.md", "doc/lrpipe/docs/index.md",
                         "doc/lrpipe/slurm/lrpipe.sbatch", "doc/lrpipe/jobs/demo.yaml"):
                self.assertTrue(os.path.isfile(os.path.join(prefix, "share", name)), name)


class Completion(unittest.TestCase):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = ('source <("$LRPIPE_BINARY" completion); compopt() { :; }; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _lrpipe; printf "%s\\n" "${COMPREPLY[@]}"')
        result = subprocess.run(["bash", "-c", script, "bash", "lrpipe", *words], text=True,
                                cwd=os.path.join(ROOT, "jobs"), check=True, env=os.environ,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return result.stdout.split()

    def test_commands_and_jobs(self):
        offered = self.complete("")
        for word in ("plan", "doctor", "demo.yaml"):
            self.assertIn(word, offered)
        self.assertEqual(self.complete("in"), ["inspect"])
        self.assertEqual(sorted(self.complete("plan", "dem")),
                         ["demo", "demo-1000.yaml", "demo.yaml"])

    def test_options_of_the_command(self):
        self.assertIn("--max-time", self.complete("--m"))
        self.assertIn("--max-time", self.complete("run", "--m"))
        self.assertEqual(self.complete("plan", "--ra"), ["--ranks"])
        self.assertEqual(self.complete("status", "--ra"), [])

    def test_values(self):
        self.assertEqual(self.complete("space", "--method", ""), ["tucker", "svd"])
        self.assertEqual(self.complete("--set", "decompose.d"), ["decompose.dtype="])
        self.assertEqual(self.complete("--max-time", ""), [])

    def test_operands(self):
        self.assertEqual(self.complete("status", "demo"), ["demo"])
        self.assertEqual(self.complete("man", ""), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
