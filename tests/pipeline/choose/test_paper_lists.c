/* The paper's lists: its reductions of Llama-2-7B, and what a shallower model makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/paper_lists.h"
#include "pipeline/plan.h"
#include "tests/pipeline/job/job_text.h"

static void read_model(const char *json, lrp_config *config) {
  char dir[64];
  create_model(json, dir);
  assert_int_equal(lrp_config_read(dir, config), LRP_OK);
  remove_model(dir);
}

static void test_reductions(void **state) {
  static const char *const percent[LRP_PAPER_LISTS] = {"6.00",  "9.01",  "15.01", "21.02", "33.02",
                                                       "48.03", "60.04", "75.05", "84.06", "96.07"};
  lrp_config llama;
  int rank[32 * 7];
  char text[16];
  (void)state;
  read_model(LLAMA2_7B, &llama);
  for (int list = 0; list < LRP_PAPER_LISTS; list++) {
    lrp_paper_list_ranks(list, &llama, rank);
    snprintf(text, sizeof text, "%.2f",
             lrp_plan_size(&llama, LRP_TUCKER, rank, 2, 2).reduction_percent);
    assert_string_equal(text, percent[list]);
    assert_int_equal(lrp_paper_list_name(list)[0], 'r');
  }
}

/* Of 3 layers: 2, 17, 31 of 32 are round(0.13), round(1.10), round(2). */
static void test_scaled(void **state) {
  lrp_config small;
  int rank[3 * 7];
  (void)state;
  read_model(SMALL_LLAMA, &small);
  lrp_paper_list_ranks(1, &small, rank);
  for (int i = 0; i < 21; i++) assert_int_equal(rank[i], 1);
  lrp_paper_list_ranks(0, &small, rank); /* 2, 29 */
  for (int i = 0; i < 21; i++) assert_int_equal(rank[i], i / 7 != 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reductions),
      cmocka_unit_test(test_scaled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
