#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pipeline/resident.h"

/* What else a test program takes in the meantime, and what the kernel has not counted yet. */
static const int64_t slack = 8 << 20;

static const size_t block_bytes = (size_t)64 << 20;

/* The kernel's count in pages, from another file: the same within 1 MiB. */
static void assert_resident(int64_t bytes) {
  FILE *f = fopen("/proc/self/statm", "re");
  long long total, pages;
  assert_non_null(f);
  assert_int_equal(fscanf(f, "%lld %lld", &total, &pages), 2);
  assert_int_equal(fclose(f), 0);
  const int64_t expected = (int64_t)pages * sysconf(_SC_PAGESIZE);
  assert_true(bytes > expected - (1 << 20) && bytes < expected + (1 << 20));
}

/* Memory of the kernel's own: what is given back to malloc may stay resident. */
static void touch_and_free(int64_t *held) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char *block =
      mmap(NULL, block_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(block != MAP_FAILED);
  for (size_t i = 0; i < block_bytes; i += page) block[i] = 1;
  *held = lrp_resident_bytes();
  assert_resident(*held);
  assert_int_equal(munmap(block, block_bytes), 0);
}

static void test_peak(void **state) {
  const int64_t block = (int64_t)block_bytes, before = lrp_resident_bytes();
  int64_t held;
  (void)state;
  assert_true(before > 0);
  touch_and_free(&held);
  assert_true(held > before + block - slack && held < before + block + slack);
  assert_true(lrp_resident_bytes() < before + slack);
  assert_true(lrp_resident_peak() > before + block - slack);
  if (!lrp_resident_restart()) skip(); /* a kernel that cannot */
  assert_true(lrp_resident_peak() < before + slack);
  assert_true(lrp_resident_peak() >= lrp_resident_bytes() - slack);
  touch_and_free(&held);
  assert_true(lrp_resident_peak() > before + block - slack); /* and again */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_peak)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
