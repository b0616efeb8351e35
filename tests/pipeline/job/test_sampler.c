/* Counts, numbers and random choices of configurations, against trying all of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/plan.h"
#include "pipeline/sampler.h"
#include "tests/pipeline/job/job_text.h"

/* cmocka's own compares in float. */
#define assert_near(x, expected, limit) assert_true(fabs((x) - (expected)) <= (limit))

static lrp_config read_config(const char *json) {
  lrp_config config;
  char dir[64];
  const lrp_status st = lrp_config_read(create_model(json, dir), &config);
  remove_model(dir);
  assert_int_equal(st, LRP_OK);
  return config;
}

/* A Llama of so many layers; query groups make the shapes of k and v differ from that of q. */
static lrp_config small_llama(int layers) {
  lrp_config config = read_config(SMALL_LLAMA);
  config.llama.num_hidden_layers = layers;
  return config;
}

static lrp_sampler *create(const lrp_config *config, const lrp_space_filter *filter) {
  lrp_sampler *s;
  assert_int_equal(lrp_sampler_create(&s, config, filter), LRP_OK);
  return s;
}

static void assert_count(const lrp_config *config, const lrp_space_filter *filter,
                         const char *count) {
  lrp_sampler *s = create(config, filter);
  assert_string_equal(lrp_sampler_count(s), count);
  lrp_sampler_destroy(&s);
  assert_null(s);
}

/* ---- against trying all ---- */

enum { max_listed = 20000, max_cells = 64 };

/* Ranks of the configuration of these layers and tensors. */
static void ranks_of(const lrp_config *config, unsigned layers, unsigned tensors,
                     const lrp_rank_row *row, int *rank) {
  const int n = lrp_config_layer_tensors(config);
  for (int i = 0; i < lrp_config_layers(config) * n; i++) {
    int64_t m, k;
    lrp_config_tensor_shape(config, i % n, &m, &k);
    const int most = (int)(m < k ? m : k), r = row->rank[i % n];
    rank[i] = (layers >> (i / n) & 1u) && (tensors >> (i % n) & 1u) ? (r < most ? r : most) : 0;
  }
}

static bool layers_pass(const lrp_config *config, const lrp_space_filter *f, unsigned layers) {
  int last = -1;
  for (int l = 0; l < lrp_config_layers(config); l++) {
    if (!(layers >> l & 1u)) continue;
    if (l < f->keep_first || l >= lrp_config_layers(config) - f->keep_last) return false;
    if (last >= 0 && l - last < f->distance) return false;
    last = l;
  }
  return last >= 0;
}

/* All different configurations that pass, each as its ranks, in no order that matters. */
static int try_all(const lrp_config *config, const lrp_space_filter *f, int (*found)[max_cells]) {
  const int tensors = lrp_config_layer_tensors(config);
  const size_t size = (size_t)lrp_config_layers(config) * (size_t)tensors * sizeof(int);
  int n = 0;

  for (int row = 0; row < f->n_rows; row++) {
    for (unsigned set = 1; set < 1u << tensors; set++) {
      if (f->subsets ? (set & ~f->tensors) != 0 : set != f->tensors) continue;
      for (unsigned layers = 1; layers < 1u << lrp_config_layers(config); layers++) {
        bool is_new = true;
        if (!layers_pass(config, f, layers)) continue;
        assert_true(n < max_listed);
        ranks_of(config, layers, set, &f->rows[row], found[n]);
        const double percent = lrp_plan_size(config, f->method, found[n], 4, 4).reduction_percent;
        if (percent < f->least || percent > f->most) continue;
        for (int i = 0; f->n_rows > 1 && i < n && is_new; i++) {
          is_new = memcmp(found[i], found[n], size) != 0;
        }
        n += is_new;
      }
    }
  }
  return n;
}

static int compare_ranks(const void *a, const void *b) {
  return memcmp(a, b, max_cells * sizeof(int));
}

/* Whether next and draw give what try_all finds: each once, and what a pick says of itself. */
static void check_against_all(const lrp_config *config, const lrp_space_filter *f) {
  static int expected[max_listed][max_cells], got[max_listed][max_cells];
  char count[32];
  lrp_sampler *s = create(config, f);
  memset(expected, 0, sizeof expected);
  const int n = try_all(config, f, expected);

  snprintf(count, sizeof count, "%d", n);
  assert_string_equal(lrp_sampler_count(s), count);
  if (n == 0) assert_true(isinf(lrp_sampler_log2(s)) && lrp_sampler_log2(s) < 0.0);
  if (n > 0) assert_near(lrp_sampler_log2(s), log2(n), 1e-12);
  qsort(expected, (size_t)n, sizeof *expected, compare_ranks);
  for (int random = 0; random < 2; random++) {
    lrp_pick pick;
    bool found;
    int i = 0;
    memset(got, 0, sizeof got);
    for (;; i++) {
      assert_int_equal(
          random ? lrp_sampler_draw(s, &pick, &found) : lrp_sampler_next(s, &pick, &found), LRP_OK);
      if (!found) break;
      assert_true(i < n);
      lrp_sampler_ranks(s, &pick, got[i]);
      const lrp_size size = lrp_plan_size(config, f->method, got[i], 4, 4);
      assert_true(size.parameters == pick.parameters);
      assert_true(size.reduction_percent == pick.reduction_percent);
    }
    assert_int_equal(i, n);
    qsort(got, (size_t)n, sizeof *got, compare_ranks);
    assert_memory_equal(got, expected, (size_t)n * sizeof *got);
  }
  lrp_sampler_destroy(&s);
}

static void test_everything(void **state) {
  (void)state;
  for (int layers = 1; layers <= 5; layers++) {
    lrp_rank_row row;
    const lrp_config config = small_llama(layers);
    const lrp_space_filter f = lrp_space_everything(&config, 1, &row);
    check_against_all(&config, &f);
  }
}

static void test_filters(void **state) {
  const lrp_config config = small_llama(9);
  lrp_rank_row row;
  (void)state;
  for (int distance = 1; distance <= 10; distance++) {
    for (int first = 0; first <= 3; first++) {
      for (int last = 0; last <= 7; last += 1 + first) {
        lrp_space_filter f = lrp_space_everything(&config, 2, &row);
        f.subsets = false;
        f.tensors = 0x15; /* q, v, gate */
        f.distance = distance;
        f.keep_first = first;
        f.keep_last = last;
        check_against_all(&config, &f);
      }
    }
  }
}

/* Also reductions below 0, of ranks that save nothing, and limits that are hit exactly. */
static void test_reductions(void **state) {
  static const double limits[][2] = {{0, 5}, {5, 20}, {-100, -0.001}, {20, 60}, {101, 200}};
  const lrp_config config = small_llama(4);
  lrp_rank_row row;
  (void)state;
  for (int rank = 1; rank <= 8; rank += 7) {
    lrp_space_filter f = lrp_space_everything(&config, rank, &row);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
      f.method = i % 2 ? LRP_SVD : LRP_TUCKER;
      f.least = limits[i][0];
      f.most = limits[i][1];
      check_against_all(&config, &f);
    }
  }
  lrp_space_filter f = lrp_space_everything(&config, 1, &row);
  int rank[max_cells];
  ranks_of(&config, 0x6, 0x7f, &row, rank);
  f.least = f.most = lrp_plan_size(&config, f.method, rank, 4, 4).reduction_percent;
  f.subsets = false;
  assert_count(&config, &f, "6"); /* two of four layers, all tensors */
  f.least = nextafter(f.least, INFINITY);
  f.most = INFINITY;
  assert_count(&config, &f, "5"); /* three or four layers */
}

/* Ranks beyond min(m, n) are capped, and rows that are the same for a set count once. */
static void test_rows(void **state) {
  const lrp_config config = small_llama(3);
  lrp_rank_row rows[4];
  lrp_space_filter f = lrp_space_everything(&config, 1, &rows[0]);
  (void)state;
  f.rows = rows;
  f.n_rows = 4;
  rows[1] = lrp_rank_row_of(&config, 4); /* k and v have 4 rows */
  rows[2] = lrp_rank_row_of(&config, 7);
  rows[3] = (lrp_rank_row){{99, 99, 99, 99, 99, 99, 99}};
  assert_int_equal(rows[2].rank[1], 4);
  check_against_all(&config, &f);
  f.tensors = 0x06;
  assert_count(&config, &f, "42"); /* 7 sets of layers, 3 of tensors, ranks 1 and 4 */
}

/* Subsets of some tensors, and none. */
static void test_tensors(void **state) {
  const lrp_config config = small_llama(3);
  lrp_rank_row row;
  lrp_space_filter f = lrp_space_everything(&config, 1, &row);
  (void)state;
  f.tensors = 0x44;
  check_against_all(&config, &f);
  assert_count(&config, &f, "21");
  f.tensors = 0;
  assert_count(&config, &f, "0");
  check_against_all(&config, &f);
}

/* ---- known numbers ---- */

static void test_llama2(void **state) {
  const lrp_config config = read_config(LLAMA2_7B);
  lrp_rank_row row;
  lrp_space_filter f = lrp_space_everything(&config, 1, &row);
  (void)state;
  assert_count(&config, &f, "545460846465"); /* (2^32 - 1) (2^7 - 1) */
  f.subsets = false;
  assert_count(&config, &f, "4294967295");
  f.least = 9.0;
  f.most = 9.01;
  assert_count(&config, &f, "4960"); /* three of 32 layers */
  f.distance = 2;
  assert_count(&config, &f, "4060"); /* of 30 places */
  f.keep_first = f.keep_last = 2;
  assert_count(&config, &f, "2600"); /* of 26 */
}

static void assert_pick(const lrp_pick *pick, unsigned tensors, const int *layers, int n_layers) {
  assert_int_equal(pick->tensors, tensors);
  assert_int_equal(pick->n_layers, n_layers);
  assert_memory_equal(pick->layers, layers, (size_t)n_layers * sizeof *layers);
}

static void test_order(void **state) {
  static const struct {
    unsigned tensors;
    int layers[3], n;
  } expected[] = {{1, {0}, 1},    {1, {1}, 1},    {1, {2}, 1},       {1, {0, 1}, 2},
                  {1, {0, 2}, 2}, {1, {1, 2}, 2}, {1, {0, 1, 2}, 3}, {2, {0}, 1}};
  const lrp_config config = small_llama(3);
  lrp_rank_row row;
  const lrp_space_filter f = lrp_space_everything(&config, 1, &row);
  lrp_sampler *s = create(&config, &f);
  (void)state;
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
    lrp_pick pick;
    bool found;
    assert_int_equal(lrp_sampler_next(s, &pick, &found), LRP_OK);
    assert_true(found);
    assert_pick(&pick, expected[i].tensors, expected[i].layers, expected[i].n);
  }
  lrp_sampler_destroy(&s);
}

/* As many bits as a deep model needs: C(1000, 500) is of 995 bits. */
static void test_deep_model(void **state) {
  const lrp_config config = small_llama(1000);
  lrp_rank_row row;
  lrp_space_filter f = lrp_space_everything(&config, 1, &row);
  lrp_sampler *s = create(&config, &f);
  lrp_pick pick;
  bool found;
  (void)state;
  assert_near(lrp_sampler_log2(s), 1000.0 + log2(127.0), 1e-9);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(lrp_sampler_draw(s, &pick, &found), LRP_OK);
    assert_true(found && pick.n_layers > 400 && pick.n_layers < 600); /* 6 standard deviations */
    for (int l = 1; l < pick.n_layers; l++) assert_true(pick.layers[l] > pick.layers[l - 1]);
    assert_true(pick.layers[0] >= 0 && pick.layers[pick.n_layers - 1] < 1000);
  }
  lrp_sampler_destroy(&s);
  const lrp_config deeper = small_llama(LRP_SPACE_MAX_LAYERS + 1);
  assert_message(lrp_sampler_create(&s, &deeper, &f),
                 "a design space of 4097 layers: at most 4096");
  assert_null(s);
}

/* ---- random ones ---- */

/* chi^2 of drawing each of 28 configurations (2 of 8 layers) as the first of many seeds: 27 degrees
 * of freedom, whose 1 - 1e-6 quantile is 78.2. Seeds are fixed, so the test is, too. */
static void test_uniform(void **state) {
  enum { seeds = 5600, pairs = 28 };
  const lrp_config config = small_llama(8);
  lrp_rank_row row;
  lrp_space_filter f = lrp_space_everything(&config, 1, &row);
  int drawn[64] = {0}, rank[max_cells];
  double chi2 = 0.0;
  (void)state;
  f.subsets = false;
  ranks_of(&config, 0x3, 0x7f, &row, rank);
  f.least = f.most = lrp_plan_size(&config, f.method, rank, 4, 4).reduction_percent;
  lrp_sampler *s = create(&config, &f);
  assert_string_equal(lrp_sampler_count(s), "28");
  for (uint64_t seed = 0; seed < seeds; seed++) {
    lrp_pick pick;
    bool found;
    lrp_sampler_seed(s, seed);
    assert_int_equal(lrp_sampler_draw(s, &pick, &found), LRP_OK);
    assert_true(found && pick.n_layers == 2);
    drawn[8 * pick.layers[0] + pick.layers[1]]++;
  }
  for (int a = 0; a < 8; a++) {
    for (int b = a + 1; b < 8; b++) {
      const double expected = (double)seeds / pairs, d = drawn[8 * a + b] - expected;
      chi2 += d * d / expected;
    }
  }
  assert_true(chi2 < 78.2 && chi2 > 5.0); /* not too even either */
  lrp_sampler_destroy(&s);
}

static void draw(lrp_sampler *s, uint64_t seed, int n, int (*rank)[32 * 7]) {
  lrp_pick pick;
  bool found;
  lrp_sampler_seed(s, seed);
  for (int i = 0; i < n; i++) {
    assert_int_equal(lrp_sampler_draw(s, &pick, &found), LRP_OK);
    assert_true(found);
    lrp_sampler_ranks(s, &pick, rank[i]);
  }
}

/* The same seed gives the same, also after other calls, and fewer are the first of more. */
static void test_reproducible(void **state) {
  static int first[20][32 * 7], second[20][32 * 7];
  const lrp_config config = read_config(LLAMA2_7B);
  lrp_rank_row row;
  lrp_space_filter f = lrp_space_everything(&config, 1, &row);
  lrp_sampler *s = create(&config, &f), *t = create(&config, &f);
  lrp_pick pick;
  bool found;
  (void)state;
  draw(s, 7, 20, first);
  assert_int_equal(lrp_sampler_next(t, &pick, &found), LRP_OK);
  draw(t, 8, 5, second);
  assert_memory_not_equal(first, second, sizeof *first);
  draw(t, 7, 20, second);
  assert_memory_equal(first, second, sizeof first);
  for (int i = 0; i < 20; i++) {
    for (int j = 0; j < i; j++) assert_memory_not_equal(first[i], first[j], sizeof *first);
  }
  lrp_sampler_destroy(&s);
  lrp_sampler_destroy(&t);
}

/* What seed 1 gives, on every machine. */
static void test_known_draw(void **state) {
  const lrp_config config = read_config(LLAMA2_7B);
  lrp_rank_row row;
  lrp_space_filter f = lrp_space_everything(&config, 1, &row);
  lrp_pick pick;
  bool found;
  (void)state;
  f.subsets = false;
  f.least = 9.0;
  f.most = 9.01;
  f.distance = 4;
  f.keep_first = 2;
  lrp_sampler *s = create(&config, &f);
  lrp_sampler_seed(s, 1);
  assert_int_equal(lrp_sampler_draw(s, &pick, &found), LRP_OK);
  assert_pick(&pick, 0x7f, (const int[]){3, 12, 16}, 3);
  lrp_sampler_destroy(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_everything), cmocka_unit_test(test_filters),
      cmocka_unit_test(test_reductions), cmocka_unit_test(test_rows),
      cmocka_unit_test(test_tensors),    cmocka_unit_test(test_llama2),
      cmocka_unit_test(test_order),      cmocka_unit_test(test_deep_model),
      cmocka_unit_test(test_uniform),    cmocka_unit_test(test_reproducible),
      cmocka_unit_test(test_known_draw),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
