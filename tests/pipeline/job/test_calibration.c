#include "io/base/json_memory.h"
#include "pipeline/calibration.h"
#include "tests/io/base/temp_dir.h"

static const lrp_machine here = {"Processor A", "Kernel", 2, 4};

/* Speeds that tell each stage and size, and the entry, apart. */
static lrp_cost make_cost(double unit) {
  lrp_cost cost;
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    cost.speed[s][0] = unit * (s + 1);
    cost.speed[s][1] = unit * (s + 100);
  }
  return cost;
}

static int fresh_file(void **state) {
  static int count;
  char name[32];
  (void)state;
  snprintf(name, sizeof name, "d%d/sub/cal.json", count++);
  return setenv("LRPIPE_CALIBRATION", temp_path(name), 1);
}

static void save(const lrp_machine *machine, double unit) {
  const lrp_cost cost = make_cost(unit);
  assert_int_equal(lrp_calibration_save(machine, &cost), LRP_OK);
}

static lrp_calibration load(lrp_machine machine) {
  lrp_calibration c;
  assert_int_equal(lrp_calibration_load(&machine, &c), LRP_OK);
  return c;
}

static void assert_speeds(const lrp_calibration *c, double compute, double file) {
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    const double unit = lrp_cost_is_file((lrp_cost_stage)s) ? file : compute;
    const lrp_cost expected = make_cost(unit);
    for (int i = 0; i < 2; i++) {
      const double error = c->cost.speed[s][i] / expected.speed[s][i] - 1.0;
      if (error > 1e-5 || error < -1e-5)
        fail_msg("%s: %g", lrp_cost_name((lrp_cost_stage)s), error);
    }
  }
}

static void test_none(void **state) {
  const lrp_calibration c = load(here);
  const lrp_cost guess = lrp_cost_guess(here.threads);
  char text[LRP_CALIBRATION_TEXT];
  (void)state;
  assert_false(c.measured);
  assert_memory_equal(&c.cost, &guess, sizeof guess);
  assert_non_null(strstr(lrp_calibration_text(&c, text), "guessed"));
}

static void test_round_trip(void **state) {
  char text[LRP_CALIBRATION_TEXT];
  (void)state;
  assert_int_equal(lrp_calibration_prepare(), LRP_OK);
  save(&here, 3.0);
  const lrp_calibration c = load(here);
  assert_true(c.measured);
  assert_speeds(&c, 3.0, 3.0);
  lrp_calibration_text(&c, text);
  assert_non_null(strstr(text, "measured on Processor A (Kernel), 4 process ranks of 2 threads"));
  assert_null(strstr(text, "scaled"));
}

static void test_replace(void **state) {
  lrp_machine other = here;
  (void)state;
  other.threads = 1;
  save(&here, 3.0);
  save(&other, 5.0);
  save(&here, 7.0);
  const lrp_calibration c = load(here), d = load(other);
  assert_speeds(&c, 7.0, 7.0);
  assert_speeds(&d, 5.0, 5.0);
}

/* Twice the threads compute twice as fast; half the process ranks have twice the disk each. */
static void test_scaled(void **state) {
  lrp_machine wanted = here;
  char text[LRP_CALIBRATION_TEXT];
  (void)state;
  wanted.threads = 4;
  wanted.ranks = 2;
  save(&here, 3.0);
  const lrp_calibration c = load(wanted);
  assert_true(c.measured);
  assert_speeds(&c, 6.0, 6.0);
  assert_non_null(strstr(lrp_calibration_text(&c, text), "scaled to 2 of 4"));
}

/* A far entry of the same processor is nearer than an equal one of another. */
static void test_nearest(void **state) {
  lrp_machine far = here, near = here, foreign = here;
  char text[LRP_CALIBRATION_TEXT];
  (void)state;
  far.threads = 64;
  snprintf(foreign.processor, sizeof foreign.processor, "Processor B");
  save(&foreign, 5.0);
  lrp_calibration c = load(here);
  assert_speeds(&c, 5.0, 5.0);
  assert_non_null(strstr(lrp_calibration_text(&c, text), "another processor, Processor B"));
  save(&far, 64.0);
  c = load(here);
  assert_speeds(&c, 2.0, 64.0);
  near.threads = 1;
  save(&near, 7.0);
  c = load(here);
  assert_speeds(&c, 14.0, 7.0);
}

/* A damaged file is no calibration, and is replaced by the next one. */
static void test_damaged(void **state) {
  static const char *const texts[] = {"",
                                      "{",
                                      "[]",
                                      "{\"format\": 1}",
                                      "{\"format\": 999, \"entries\": []}",
                                      "{\"format\": 1, \"entries\": [1, {}, {\"processor\": 3}]}"};
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    char name[32];
    snprintf(name, sizeof name, "damaged%zu.json", i);
    setenv("LRPIPE_CALIBRATION", temp_write(name, texts[i], strlen(texts[i])), 1);
    assert_false(load(here).measured);
    assert_null(lrp_failure_message(LRP_ERR_DATA));
    save(&here, 2.0);
    assert_true(load(here).measured);
  }
}

/* A speed that is none: the entry does not count. */
static void test_damaged_entry(void **state) {
  static const char *const bad[] = {"0.0", "-1.0", "\"x\"", "null"};
  char *path, text[8192];
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    save(&here, 2.0);
    assert_int_equal(lrp_calibration_path(&path), LRP_OK);
    FILE *f = fopen(path, "r");
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    char *at = strstr(text, "\"read\": [");
    assert_non_null(at);
    at += strlen("\"read\": [");
    char *rest = strdup(strchr(at, ','));
    snprintf(at, sizeof text - (size_t)(at - text), "%s%s", bad[i], rest);
    free(rest);
    f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    assert_false(load(here).measured);
    free(path);
  }
}

static void assert_path(const char *expected) {
  char *path;
  assert_int_equal(lrp_calibration_path(&path), LRP_OK);
  assert_string_equal(path, expected);
  free(path);
}

static void test_path(void **state) {
  char *path;
  (void)state;
  setenv("HOME", "/h", 1);
  setenv("XDG_CACHE_HOME", "/c", 1);
  setenv("LRPIPE_CALIBRATION", "f.json", 1);
  assert_path("f.json");
  unsetenv("LRPIPE_CALIBRATION");
  assert_path("/c/lrpipe/calibration.json");
  setenv("XDG_CACHE_HOME", "relative", 1); /* to be ignored, says the specification */
  assert_path("/h/.cache/lrpipe/calibration.json");
  unsetenv("XDG_CACHE_HOME");
  assert_path("/h/.cache/lrpipe/calibration.json");
  unsetenv("HOME");
  assert_int_equal(lrp_calibration_path(&path), LRP_ERR_USAGE);
  assert_null(path);
  lrp_failure_clear();
  const lrp_cost cost = make_cost(1.0);
  assert_int_equal(lrp_calibration_save(&here, &cost), LRP_ERR_USAGE);
  lrp_failure_clear();
  assert_false(load(here).measured);
}

static void test_not_writable(void **state) {
  const lrp_cost cost = make_cost(1.0);
  (void)state;
  temp_write("file", "x", 1);
  setenv("LRPIPE_CALIBRATION", temp_path("file/below.json"), 1);
  assert_int_equal(lrp_calibration_prepare(), LRP_ERR_CREATE);
  assert_int_equal(lrp_calibration_save(&here, &cost), LRP_ERR_CREATE);
  assert_non_null(lrp_failure_message(LRP_ERR_CREATE));
  lrp_failure_clear();
}

static void test_machine(void **state) {
  const lrp_machine machine = lrp_machine_here(3, 5);
  (void)state;
  assert_int_equal(machine.threads, 3);
  assert_int_equal(machine.ranks, 5);
  assert_true(strlen(machine.processor) > 0 && strlen(machine.blas) > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_none, fresh_file),
      cmocka_unit_test_setup(test_round_trip, fresh_file),
      cmocka_unit_test_setup(test_replace, fresh_file),
      cmocka_unit_test_setup(test_scaled, fresh_file),
      cmocka_unit_test_setup(test_nearest, fresh_file),
      cmocka_unit_test(test_damaged),
      cmocka_unit_test_setup(test_damaged_entry, fresh_file),
      cmocka_unit_test(test_not_writable),
      cmocka_unit_test(test_machine),
      cmocka_unit_test(test_path),
  };
  lrp_json_memory_init();
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
