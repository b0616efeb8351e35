#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/energy.h"

enum { path_size = 256 };

static char root[] = "/tmp/lrp-energy-XXXXXX";
static char reason[LRP_ENERGY_REASON];

/* ---- a folder like the kernel's ---- */

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw) {
  (void)s;
  (void)type;
  (void)ftw;
  return remove(path);
}

static int setup(void **state) {
  (void)state;
  memcpy(root + sizeof root - 7, "XXXXXX", 6);
  memset(reason, 'x', sizeof reason); /* it must be set in any case */
  return mkdtemp(root) && chmod(root, 0755) == 0 ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *zone, const char *file, const char *text) {
  char path[path_size];
  snprintf(path, sizeof path, "%s/%s/%s", root, zone, file);
  FILE *f = fopen(path, "w");
  if (!f) fail_msg("%s", path);
  fprintf(f, "%s\n", text);
  assert_int_equal(fclose(f), 0);
}

static void put_energy(const char *zone, unsigned long long microjoules) {
  char text[32];
  snprintf(text, sizeof text, "%llu", microjoules);
  put(zone, "energy_uj", text);
}

static void make_zone(const char *zone, const char *name, unsigned long long microjoules,
                      const char *range) {
  char path[path_size];
  snprintf(path, sizeof path, "%s/%s", root, zone);
  assert_int_equal(mkdir(path, 0755), 0);
  put(zone, "name", name);
  put(zone, "max_energy_range_uj", range);
  put_energy(zone, microjoules);
}

/* A folder where a file was: root, too, cannot read it. */
static void spoil(const char *zone, const char *file) {
  char path[path_size];
  snprintf(path, sizeof path, "%s/%s/%s", root, zone, file);
  assert_int_equal(remove(path), 0);
  assert_int_equal(mkdir(path, 0755), 0);
}

static lrp_energy *open_energy(void) {
  lrp_energy *energy = NULL;
  assert_int_equal(lrp_energy_open(root, &energy, reason), LRP_OK);
  if (!energy) fail_msg("%s", reason);
  assert_string_equal(reason, "");
  return energy;
}

static void assert_none(const char *expected) {
  lrp_energy *energy = (lrp_energy *)reason;
  assert_int_equal(lrp_energy_open(root, &energy, reason), LRP_OK);
  assert_null(energy);
  if (!strstr(reason, expected)) fail_msg("'%s' is not in '%s'", expected, reason);
  assert_null(strchr(reason, '\n'));
}

static void assert_joules(lrp_energy *energy, double expected) {
  const double got = lrp_energy_joules(energy);
  if (!(fabs(got - expected) <= 1e-9)) fail_msg("%.17g, not %.17g", got, expected);
}

/* ---- tests ---- */

static void test_one_package(void **state) {
  (void)state;
  make_zone("intel-rapl:0", "package-0", 5000000, "262143328850");
  lrp_energy *energy = open_energy();
  assert_string_equal(lrp_energy_domains(energy), "package-0");
  assert_joules(energy, 0.0);
  put_energy("intel-rapl:0", 7500000);
  assert_joules(energy, 2.5);
  assert_joules(energy, 2.5);
  put_energy("intel-rapl:0", 7500001);
  assert_joules(energy, 2.500001);
  lrp_energy_close(&energy);
  assert_null(energy);
}

/* Two packages with memory beside parts that are not added: cores and graphics (in a package), the
 * whole platform, and the same package by another way. Zone numbers are no names. */
static void test_what_is_added(void **state) {
  (void)state;
  make_zone("intel-rapl:10", "package-1", 100, "1000000000");
  make_zone("intel-rapl:10:0", "dram", 200, "1000000000");
  make_zone("intel-rapl:2", "package-0", 300, "1000000000");
  make_zone("intel-rapl:2:0", "core", 400, "1000000000");
  make_zone("intel-rapl:2:1", "uncore", 500, "1000000000");
  make_zone("intel-rapl:2:2", "dram", 600, "1000000000");
  make_zone("intel-rapl:2:2:0", "dram", 600, "1000000000");
  make_zone("intel-rapl:1", "psys", 700, "1000000000");
  make_zone("intel-rapl:1:0", "dram", 800, "1000000000");
  make_zone("intel-rapl-mmio:0", "package-0", 300, "1000000000");
  make_zone("intel-rapl", "", 0, "1");
  make_zone("dtpm", "package-0", 900, "1000000000");
  lrp_energy *energy = open_energy();
  assert_string_equal(lrp_energy_domains(energy), "package-0, dram, package-1, dram");
  put_energy("intel-rapl:10", 1000100);
  put_energy("intel-rapl:10:0", 2000200);
  put_energy("intel-rapl:2", 4000300);
  put_energy("intel-rapl:2:2", 8000600);
  for (int i = 0; i < 2; i++) {
    put_energy(i ? "intel-rapl:2:0" : "intel-rapl:2:1", 16000000);
    put_energy(i ? "intel-rapl:1" : "intel-rapl:1:0", 32000000);
    put_energy(i ? "intel-rapl-mmio:0" : "dtpm", 64000000);
    put_energy("intel-rapl:2:2:0", 128000000);
  }
  assert_joules(energy, 15.0);
  lrp_energy_close(&energy);
}

/* Two dies of a package have counters of their own. */
static void test_dies(void **state) {
  (void)state;
  make_zone("intel-rapl:0", "package-0-die-0", 0, "1000000000");
  make_zone("intel-rapl:1", "package-0-die-1", 0, "1000000000");
  lrp_energy *energy = open_energy();
  assert_string_equal(lrp_energy_domains(energy), "package-0-die-0, package-0-die-1");
  put_energy("intel-rapl:1", 3000000);
  assert_joules(energy, 3.0);
  lrp_energy_close(&energy);
}

/* Each counter by its own range, more than once. */
static void test_full_counters(void **state) {
  (void)state;
  make_zone("intel-rapl:0", "package-0", 9000000, "10000000");
  make_zone("intel-rapl:0:0", "dram", 4000000, "5000000");
  lrp_energy *energy = open_energy();
  put_energy("intel-rapl:0", 2000000);
  assert_joules(energy, 3.0);
  put_energy("intel-rapl:0:0", 1000000);
  assert_joules(energy, 5.0);
  put_energy("intel-rapl:0", 10000000); /* full, not beyond */
  assert_joules(energy, 13.0);
  put_energy("intel-rapl:0", 0);
  assert_joules(energy, 13.0);
  put_energy("intel-rapl:0", 1);
  put_energy("intel-rapl:0:0", 0);
  assert_joules(energy, 17.000001);
  lrp_energy_close(&energy);
}

/* Once a counter is lost, what was taken meanwhile is not known. */
static void test_lost_counter(void **state) {
  char path[path_size];
  (void)state;
  make_zone("intel-rapl:0", "package-0", 0, "10000000");
  make_zone("intel-rapl:1", "package-1", 0, "10000000");
  lrp_energy *energy = open_energy();
  put_energy("intel-rapl:0", 1000000);
  assert_joules(energy, 1.0);
  spoil("intel-rapl:1", "energy_uj");
  assert_true(isnan(lrp_energy_joules(energy)));
  snprintf(path, sizeof path, "%s/intel-rapl:1/energy_uj", root);
  assert_int_equal(rmdir(path), 0);
  put_energy("intel-rapl:1", 2000000);
  assert_true(isnan(lrp_energy_joules(energy)));
  lrp_energy_close(&energy);
}

static void test_impossible_value(void **state) {
  (void)state;
  make_zone("intel-rapl:0", "package-0", 0, "10000000");
  lrp_energy *energy = open_energy();
  put_energy("intel-rapl:0", 10000001);
  assert_true(isnan(lrp_energy_joules(energy)));
  lrp_energy_close(&energy);
  assert_none("intel-rapl:0/energy_uj: not a number");
}

static void test_none(void **state) {
  char path[path_size];
  lrp_energy *energy = NULL;
  (void)state;
  assert_none("no powercap counters below /tmp/lrp-energy-");
  make_zone("intel-rapl:0", "psys", 0, "1000");
  make_zone("intel-rapl:0:0", "dram", 0, "1000");
  make_zone("intel-rapl:1:0", "dram", 0, "1000"); /* of no package */
  assert_none("no powercap counters below /tmp/lrp-energy-");
  snprintf(path, sizeof path, "%s/absent", root);
  assert_int_equal(lrp_energy_open(path, &energy, reason), LRP_OK);
  assert_null(energy);
  assert_non_null(strstr(reason, "/absent: a virtual machine or container"));
  assert_true(isnan(lrp_energy_joules(NULL)));
  lrp_energy_close(&energy);
}

/* A part of the packages would be a lie, and so would packages without their memory. */
static void test_part(void **state) {
  (void)state;
  make_zone("intel-rapl:0", "package-0", 0, "1000");
  make_zone("intel-rapl:1", "package-1", 0, "1000");
  make_zone("intel-rapl:1:0", "dram", 0, "1000");
  spoil("intel-rapl:1:0", "energy_uj");
  assert_none("intel-rapl:1:0/energy_uj: Is a directory");
  spoil("intel-rapl:1", "energy_uj");
  assert_none("intel-rapl:1/energy_uj: Is a directory");
}

static void test_bad_files(void **state) {
  static const char *const bad[] = {"", "-5", "0x10", "12 34", "99999999999999999999999", "nan"};
  (void)state;
  make_zone("intel-rapl:0", "package-0", 0, "1000");
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    put("intel-rapl:0", "energy_uj", bad[i]);
    assert_none("intel-rapl:0/energy_uj: not a number of microjoules");
  }
  put_energy("intel-rapl:0", 0);
  for (int i = 0; i < 2; i++) {
    put("intel-rapl:0", "max_energy_range_uj", i ? "0" : "99999999999999999999999");
    assert_none("intel-rapl:0/max_energy_range_uj: not a number");
  }
  spoil("intel-rapl:0", "max_energy_range_uj");
  assert_none("intel-rapl:0/max_energy_range_uj: Is a directory");
  spoil("intel-rapl:0", "name");
  assert_none("intel-rapl:0/name: Is a directory");
}

/* As another user, if the test is root. */
static void test_permission(void **state) {
  const uid_t nobody = 65534, me = geteuid();
  char path[path_size];
  lrp_energy *energy = NULL;
  (void)state;
  make_zone("intel-rapl:0", "package-0", 0, "1000");
  snprintf(path, sizeof path, "%s/intel-rapl:0/energy_uj", root);
  assert_int_equal(chmod(path, 0), 0);
  if (me == 0 && seteuid(nobody) != 0) skip(); /* a container that forbids it */
  const lrp_status st = lrp_energy_open(root, &energy, reason);
  if (me == 0) assert_int_equal(seteuid(me), 0);
  assert_int_equal(st, LRP_OK);
  assert_null(energy);
  assert_non_null(strstr(reason, "/energy_uj: permission denied: readable by root only"));
  assert_non_null(strstr(reason, "chmod"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_one_package),   TEST(test_what_is_added), TEST(test_dies),
      TEST(test_full_counters), TEST(test_lost_counter),  TEST(test_impossible_value),
      TEST(test_none),          TEST(test_part),          TEST(test_bad_files),
      TEST(test_permission),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
