#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/options.h"
#include "pipeline/options_table.h"
#include "tests/pipeline/job/job_text.h"

/* Split line at blanks, after "lrpipe", and parse. The words live until the next call. */
static lrp_status parse(const char *line, lrp_options *out) {
  static char words[400];
  static char *argv[40];
  int argc = 1;
  argv[0] = "lrpipe";
  snprintf(words, sizeof words, "%s", line);
  for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
  argv[argc] = NULL;
  lrp_failure_clear();
  return lrp_options_parse(argc, argv, out);
}

static void assert_command(const char *line, lrp_command command, const char *operand) {
  lrp_options o;
  const lrp_status st = parse(line, &o);
  if (st != LRP_OK) fail_msg("%s: %s", line, lrp_failure_message(st));
  assert_int_equal(o.command, command);
  if (operand) assert_string_equal(o.operand, operand);
  lrp_options_free(&o);
}

static void assert_usage(const char *line, const char *message) {
  lrp_options o;
  assert_int_equal(parse(line, &o), LRP_ERR_USAGE);
  const char *got = lrp_failure_message(LRP_ERR_USAGE);
  assert_non_null(got);
  if (strncmp(got, message, strlen(message)) != 0) {
    fail_msg("%s: expected '%s', got '%s'", line, message, got);
  }
  assert_null(o.set);
  assert_null(o.operand);
  lrp_failure_clear();
}

static void test_commands(void **state) {
  (void)state;
  assert_command("", LRP_CMD_RUN, "lrpipe.yaml");
  assert_command("run", LRP_CMD_RUN, "lrpipe.yaml");
  assert_command("plan", LRP_CMD_PLAN, "lrpipe.yaml");
  assert_command("a.yaml", LRP_CMD_RUN, "a.yaml");
  assert_command("run a.yaml", LRP_CMD_RUN, "a.yaml");
  assert_command("run plan", LRP_CMD_RUN, "plan");
  assert_command("plan a.yaml", LRP_CMD_PLAN, "a.yaml");
  assert_command("space dir", LRP_CMD_SPACE, "dir");
  assert_command("status out", LRP_CMD_STATUS, "out");
  assert_command("verify out", LRP_CMD_VERIFY, "out");
  assert_command("inspect out", LRP_CMD_INSPECT, "out");
  assert_command("keys", LRP_CMD_KEYS, "");
  assert_command("man", LRP_CMD_MAN, "");
  assert_command("completion", LRP_CMD_COMPLETION, "");
  assert_command("--quiet run a.yaml", LRP_CMD_RUN, "a.yaml");
  assert_command("run -- --odd.yaml", LRP_CMD_RUN, "--odd.yaml");
}

static void test_help_and_version(void **state) {
  (void)state;
  assert_command("--help", LRP_CMD_HELP, NULL);
  assert_command("run --help", LRP_CMD_HELP, NULL);
  assert_command("space --help", LRP_CMD_HELP, NULL);
  assert_command("--version", LRP_CMD_VERSION, NULL);
  assert_command("--version --help", LRP_CMD_HELP, NULL);
}

static void test_values(void **state) {
  lrp_options o;
  (void)state;
  assert_int_equal(parse("a.yaml --set a.b=1 --set=c=d=e --quiet", &o), LRP_OK);
  assert_int_equal(o.n_set, 2);
  assert_string_equal(o.set[0], "a.b=1");
  assert_string_equal(o.set[1], "c=d=e");
  assert_true(o.quiet);
  assert_int_equal(o.ranks, 1);
  lrp_options_free(&o);
  assert_int_equal(parse("plan --ranks=64 a.yaml", &o), LRP_OK);
  assert_int_equal(o.ranks, 64);
  assert_true(o.nodes == 1 && o.threads == 0 && !o.calibrate);
  assert_false(o.quiet);
  lrp_options_free(&o);
  assert_int_equal(parse("plan --nodes 4 --threads=3", &o), LRP_OK);
  assert_true(o.nodes == 4 && o.threads == 3);
  lrp_options_free(&o);
  assert_int_equal(parse("doctor --calibrate", &o), LRP_OK);
  assert_true(o.calibrate);
  lrp_options_free(&o);
  assert_int_equal(parse("space --layers 2,17 --tensors q_proj --rank 3 --method svd m", &o),
                   LRP_OK);
  assert_string_equal(o.layers, "2,17");
  assert_string_equal(o.tensors, "q_proj");
  assert_true(o.rank.n == 1 && o.rank.value[0] == 3);
  assert_string_equal(o.method, "svd");
  assert_string_equal(o.operand, "m");
  lrp_options_free(&o);
  assert_int_equal(parse("space m --layers all --ratio=0.5", &o), LRP_OK);
  assert_true(o.ratio == 0.5 && o.rank.n == 0);
  lrp_options_free(&o);
}

static void test_space(void **state) {
  lrp_options o;
  (void)state;
  assert_int_equal(parse("space m --rank 1,250,2147483647 --sample 5 --seed 0 --format csv", &o),
                   LRP_OK);
  assert_true(o.rank.n == 3 && o.rank.value[1] == 250 && o.rank.value[2] == 2147483647);
  assert_true(o.sample == 5 && o.seed == 0 && !o.enumerate && o.rows == -1);
  lrp_options_free(&o);
  assert_int_equal(parse("space m --enumerate --rows 0 --distance 2 --reduction 5:10 --tensors all "
                         "--keep-first 2 --keep-last=0",
                         &o),
                   LRP_OK);
  assert_true(o.enumerate && o.rows == 0 && o.seed == -1 && o.sample == 0 && o.rank.n == 0);
  assert_true(o.distance == 2 && o.keep_first == 2 && o.keep_last == 0);
  assert_string_equal(o.reduction, "5:10");
  lrp_options_free(&o);
  assert_int_equal(parse("space m --distance 2 --rank 3", &o), LRP_OK);
  lrp_options_free(&o);
}

static void test_wrong_space(void **state) {
  (void)state;
  assert_usage("space m --enumerate --sample 3", "--enumerate and --sample exclude each other");
  assert_usage("space m --enumerate --seed 3", "--seed needs --sample");
  assert_usage("space m --sample 3 --rows 3", "--rows needs --enumerate");
  assert_usage("space m --sample 0", "--sample: expected an integer in 1..1000000, got '0'");
  assert_usage("space m --sample 1 --seed -1", "--seed: expected an integer in 0..");
  assert_usage("space m --layers 1 --rank 1 --distance 2", "--layers, of one configuration, excl");
  assert_usage("space m --layers 1 --rank 1,2", "--rank: one rank with --layers, got 2");
  assert_usage("space m --enumerate --rank 1,",
               "--rank: expected an integer in 1..2147483647, got ''");
  assert_usage("space m --enumerate --rank 1,0",
               "--rank: expected an integer in 1..2147483647, got '0'");
  assert_usage("space m --enumerate --rank 1,100000000000000000000000000",
               "--rank: expected an int");
  assert_usage(
      "space m --enumerate --rank 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
      "1,1,1,1,1",
      "--rank: more than 32 ranks");
  assert_usage("space m --format xml", "--format: expected table, csv or json, got 'xml'");
  assert_usage("plan --format csv", "--format is an option of lrpipe space");
}

static void test_choose(void **state) {
  static const struct {
    const char *line;
    double percent;
  } cases[] = {{"choose o --reduction 9%", 9.0},
               {"choose o --reduction=9.5 --max-time 60", 9.5},
               {"choose --reduction 99.99% --watchdog 5 o", 99.99}};
  static const char *const wrong[] = {"5:10", "0",   "100", "9%%", "-1", "nine",
                                      "1e1",  "nan", "0x9", "%",   "."};
  char line[64];
  lrp_options o;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(parse(cases[i].line, &o), LRP_OK);
    assert_true(o.command == LRP_CMD_CHOOSE && o.target_percent == cases[i].percent);
    assert_string_equal(o.operand, "o");
    lrp_options_free(&o);
  }
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    snprintf(line, sizeof line, "choose o --reduction %s", wrong[i]);
    assert_usage(line, "--reduction: choose expects percent between 0 and 100");
  }
  assert_usage("choose o", "choose needs --reduction P");
  assert_usage("choose --reduction 9", "choose needs an operand");
  assert_usage("choose o --reduction 9 --rank 1", "--rank is an option of lrpipe space");
  assert_usage("run x --reduction 9", "--reduction is an option of lrpipe space");
}

static void assert_sets(const char *line, const char *const *expected, int n) {
  lrp_options o;
  const lrp_status st = parse(line, &o);
  if (st != LRP_OK) fail_msg("%s: %s", line, lrp_failure_message(st));
  assert_int_equal(o.n_set, n);
  for (int i = 0; i < n; i++) assert_string_equal(o.set[i], expected[i]);
  lrp_options_free(&o);
}

/* Options that name a key of the job are read as --set, in the order of the command line. */
static void test_keys(void **state) {
  static const char *const all[] = {
      "evaluate.limit=3",          "evaluate.num_fewshot=0",        "evaluate.tasks=[a_b,c-1]",
      "evaluate.log_samples=true", "evaluate.prefix_sharing=false", "evaluate.limit=4"};
  static const char *const off[] = {"evaluate.log_samples=false", "evaluate.log_samples=true"};
  lrp_options o;
  (void)state;
  assert_sets(
      "x.yaml --limit 3 --num_fewshot=0 --tasks a_b,c-1 --log_samples --no-prefix-sharing "
      "--set evaluate.limit=4",
      all, 6);
  assert_sets("x.yaml --log_samples false --log_samples=true", off, 2);
  assert_sets("--log_samples x.yaml", off + 1, 1);
  assert_int_equal(parse("x.yaml --write_out", &o), LRP_OK);
  assert_true(o.write_out && !o.show_config && o.n_set == 0);
  lrp_options_free(&o);
  assert_int_equal(parse("x.yaml --show_config", &o), LRP_OK);
  assert_true(o.show_config && !o.write_out);
  lrp_options_free(&o);
}

static void test_wrong_keys(void **state) {
  (void)state;
  assert_usage("--limit 0", "--limit: expected an integer in 1..2147483647, got '0'");
  assert_usage("--num_fewshot -1", "--num_fewshot: expected an integer in 0..1000000, got '-1'");
  assert_usage("--num_fewshot 1000001", "--num_fewshot: expected an integer in 0..1000000");
  assert_usage("--num-fewshot 1", "unknown option '--num-fewshot' (did you mean '--num_fewshot'?)");
  assert_usage("--tasks a,,b", "--tasks: expected names like a,b,c, got 'a,,b'");
  assert_usage("--tasks a,", "--tasks: expected names like a,b,c, got 'a,'");
  assert_usage("--tasks ,", "--tasks: expected names like a,b,c, got ','");
  assert_usage("--tasks=", "--tasks: expected names like a,b,c, got ''");
  assert_usage("--tasks [a]", "--tasks: expected names like a,b,c, got '[a]'");
  assert_usage("--log_samples=yes", "--log_samples: expected true or false, got 'yes'");
  assert_usage("--write_out=1", "--write_out takes no value");
  assert_usage("--no-prefix-sharing=1", "--no-prefix-sharing takes no value");
  assert_usage("plan --write_out", "--write_out is an option of lrpipe run");
  assert_usage("space m --limit 3", "--limit is an option of lrpipe run");
}

static void test_unknown(void **state) {
  (void)state;
  assert_usage("stauts OUT", "unknown command 'stauts' (did you mean 'status'?)");
  assert_usage("stauts", "unknown command 'stauts' (did you mean 'status'?)");
  assert_usage("zebra OUT", "unknown command 'zebra'; see lrpipe --help");
  assert_usage("--quite", "unknown option '--quite' (did you mean '--quiet'?)");
  assert_usage("--rank=4 --lyers=3", "unknown option '--lyers' (did you mean '--layers'?)");
  assert_usage("--zebra", "unknown option '--zebra'; see lrpipe --help");
  assert_usage("-x", "unknown option '-x'");
  assert_command("zebra", LRP_CMD_RUN, "zebra"); /* an absent job: said by who opens it */
}

/* A file called almost like a command is a job. */
static void test_file_like_a_command(void **state) {
  char dir[64], old[4096];
  (void)state;
  assert_non_null(getcwd(old, sizeof old));
  create_model("x", dir);
  assert_int_equal(chdir(dir), 0);
  assert_int_equal(rename("config.json", "stauts"), 0);
  assert_command("stauts", LRP_CMD_RUN, "stauts");
  assert_usage("stauts OUT", "unknown command 'stauts'");
  assert_int_equal(rename("stauts", "config.json"), 0);
  assert_int_equal(chdir(old), 0);
  remove_model(dir);
}

static void test_wrong_values(void **state) {
  (void)state;
  assert_usage("--set", "--set needs a value: --set KEY=VALUE");
  assert_usage("--set model", "--set: expected KEY=VALUE, got 'model'");
  assert_usage("--set =x", "--set: expected KEY=VALUE, got '=x'");
  assert_usage("--set a=b --set c", "--set: expected KEY=VALUE, got 'c'");
  assert_usage("--quiet=1", "--quiet takes no value");
  assert_usage("plan --ranks 0", "--ranks: expected an integer in 1..65536, got '0'");
  assert_usage("plan --ranks 65537", "--ranks: expected an integer in");
  assert_usage("plan --ranks -1", "--ranks: expected an integer in");
  assert_usage("plan --ranks 1x", "--ranks: expected an integer in");
  assert_usage("plan --nodes 0", "--nodes: expected an integer in 1..65536, got '0'");
  assert_usage("plan --threads 4097", "--threads: expected an integer in 1..4096, got '4097'");
  assert_usage("doctor --calibrate=1", "--calibrate takes no value");
  assert_usage("plan --ranks=", "--ranks: expected an integer in");
  assert_usage("space m --layers all --rank 99999999999999999999",
               "--rank: expected an integer in");
  assert_usage("space m --layers all --ratio 1.5",
               "--ratio: expected a number in (0, 1], got '1.5'");
  assert_usage("space m --layers all --ratio nan", "--ratio: expected a number in (0, 1]");
  assert_usage("space m --layers=", "--layers: an empty value");
  assert_usage("space m --method qr", "--method: expected tucker or svd, got 'qr'");
}

static void test_wrong_combinations(void **state) {
  (void)state;
  assert_usage("a.yaml b.yaml", "unknown command 'a.yaml'; see lrpipe --help");
  assert_usage("run a b", "run takes one operand: lrpipe run [JOB.yaml]");
  assert_usage("status", "status needs an operand: lrpipe status OUT");
  assert_usage("space", "space needs an operand: lrpipe space MODEL");
  assert_usage("man page", "man takes no operand");
  assert_usage("keys a b", "keys takes no operand");
  assert_usage("man --ranks 2", "--ranks is an option of lrpipe plan");
  assert_usage("run --calibrate", "--calibrate is an option of lrpipe doctor");
  assert_usage("run --ranks 4 a.yaml", "--ranks is an option of lrpipe plan");
  assert_usage("plan --rank 4 a.yaml", "--rank is an option of lrpipe space");
  assert_usage("status out --set a=b", "--set is an option of lrpipe run");
  assert_usage("space m --layers all", "--layers needs --rank or --ratio");
  assert_usage("space m --rank 1", "--rank, --ratio and --tensors need --layers");
  assert_usage("space m --tensors q", "--rank, --ratio and --tensors need --layers");
  assert_usage("space m --layers 1 --rank 1 --ratio 1", "--rank and --ratio exclude each other");
}

static void test_help_names_everything(void **state) {
  static const char *const words[] = {"   75  stopped early", "   78  bad job"};
  static char text[20000];
  (void)state;
  capture c = capture_begin(stdout);
  lrp_options_help();
  capture_end(&c, text, sizeof text);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) assert_contains(text, words[i]);
  for (int i = 0; i < lrp_n_command_rows; i++) {
    assert_contains(text, lrp_command_rows[i].name);
    assert_contains(text, lrp_command_rows[i].help);
  }
  for (int i = 0; i < lrp_n_option_rows; i++) {
    assert_contains(text, lrp_option_rows[i].name);
    assert_contains(text, lrp_option_rows[i].help);
  }
}

static void test_commands_of_an_option(void **state) {
  char text[LRP_COMMANDS_TEXT];
  (void)state;
  for (int i = 0; i < lrp_n_option_rows; i++) {
    const lrp_option_row *o = &lrp_option_rows[i];
    lrp_option_commands(o, text);
    assert_true(strlen(text) < LRP_COMMANDS_TEXT - 1); /* not cut */
    if (strcmp(o->name, "--quiet") == 0) assert_string_equal(text, "");
    if (strcmp(o->name, "--ranks") == 0) assert_string_equal(text, "plan");
    if (strcmp(o->name, "--set") == 0) assert_string_equal(text, "run, plan, doctor");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_commands),
      cmocka_unit_test(test_help_and_version),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_space),
      cmocka_unit_test(test_wrong_space),
      cmocka_unit_test(test_choose),
      cmocka_unit_test(test_keys),
      cmocka_unit_test(test_wrong_keys),
      cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_file_like_a_command),
      cmocka_unit_test(test_wrong_values),
      cmocka_unit_test(test_wrong_combinations),
      cmocka_unit_test(test_help_names_everything),
      cmocka_unit_test(test_commands_of_an_option),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
