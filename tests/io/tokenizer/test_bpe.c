/* Merging against known answers and against the plain loop that the heap replaces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "io/tokenizer/bpe.h"

enum { longest = 60 };

/* Merges by ids, as a list of merges has them: l o -> lo, lo w -> low, e r -> er, w er -> wer. */
enum { id_l, id_o, id_w, id_e, id_r, id_lo, id_low, id_er, id_wer };

static bool find_by_ids(const void *vocab, const char *word, const lrp_bpe_symbol *left,
                        const lrp_bpe_symbol *right, lrp_bpe_merge *out) {
  static const struct {
    int32_t left, right, id;
  } merges[] = {
      {id_e, id_r, id_er}, {id_l, id_o, id_lo}, {id_lo, id_w, id_low}, {id_w, id_er, id_wer}};
  (void)vocab;
  (void)word;

  for (uint32_t i = 0; i < sizeof merges / sizeof *merges; i++) {
    if (merges[i].left == left->id && merges[i].right == right->id) {
      *out = (lrp_bpe_merge){.rank = i, .id = merges[i].id};
      return true;
    }
  }
  return false;
}

static void append_letters(lrp_bpe_word *w, const char *text) {
  for (const char *p = text; *p; p++) {
    assert_int_equal(lrp_bpe_append(w, 1, (int32_t)(strchr("lower", *p) - "lower")), LRP_OK);
  }
}

static void test_merges_by_ids(void **state) {
  lrp_bpe_word w = {0};
  (void)state;

  /* er first, then lo; then "lo w" comes before "w er" and takes the w. */
  append_letters(&w, "lower");
  assert_int_equal(lrp_bpe_run(&w, "lower", find_by_ids, NULL), LRP_OK);
  assert_int_equal(w.count, 2);
  assert_int_equal(w.symbols[0].id, id_low);
  assert_int_equal(w.symbols[1].id, id_er);
  assert_int_equal(w.symbols[1].start, 3);
  assert_int_equal(w.symbols[1].length, 2);

  lrp_bpe_clear(&w); /* the second word does not see the first one */
  append_letters(&w, "owe");
  assert_int_equal(lrp_bpe_run(&w, "owe", find_by_ids, NULL), LRP_OK);
  assert_int_equal(w.count, 3);
  assert_int_equal(w.symbols[2].id, id_e);

  lrp_bpe_clear(&w);
  assert_int_equal(lrp_bpe_run(&w, "", find_by_ids, NULL), LRP_OK);
  assert_int_equal(w.count, 0);
  lrp_bpe_free(&w);
}

/* An arbitrary but fixed rule with many equal ranks: the text decides. */
static bool find_by_text(const void *vocab, const char *word, const lrp_bpe_symbol *left,
                         const lrp_bpe_symbol *right, lrp_bpe_merge *out) {
  const uint32_t seed = *(const uint32_t *)vocab;
  const int32_t length = left->length + right->length;
  uint32_t hash = 2166136261U ^ seed;

  for (int32_t i = 0; i < length; i++) {
    hash = (hash ^ (unsigned char)word[left->start + i]) * 16777619U;
  }
  hash ^= hash >> 15;
  if (length > 9 || hash % 3 == 0) return false;
  *out = (lrp_bpe_merge){.rank = (hash >> 8) % 5, .id = (int32_t)(hash >> 12)};
  return true;
}

/* The definition: look at all pairs, merge the best, start again. Returns the number of symbols. */
static int32_t merge_plainly(const char *word, int32_t n, uint32_t seed, lrp_bpe_symbol *s) {
  for (int32_t i = 0; i < n; i++) s[i] = (lrp_bpe_symbol){.start = i, .length = 1, .id = -1};
  for (;;) {
    lrp_bpe_merge merge, best = {0};
    int32_t at = -1;
    for (int32_t i = 0; i + 1 < n; i++) {
      if (!find_by_text(&seed, word, &s[i], &s[i + 1], &merge)) continue;
      if (at >= 0 && merge.rank >= best.rank) continue;
      at = i;
      best = merge;
    }
    if (at < 0) return n;
    s[at].length += s[at + 1].length;
    s[at].id = best.id;
    memmove(&s[at + 1], &s[at + 2], (size_t)(n - at - 2) * sizeof *s);
    n--;
  }
}

static void test_equals_the_plain_loop(void **state) {
  lrp_bpe_word w = {0};
  uint32_t random = 1;
  int64_t merges = 0;
  (void)state;

  for (uint32_t trial = 0; trial < 4000; trial++) {
    const int32_t n = 1 + (int32_t)(trial % longest);
    char word[longest + 1];
    lrp_bpe_symbol expected[longest];
    int32_t count;
    for (int32_t i = 0; i < n; i++) {
      random = random * 1664525U + 1013904223U;
      word[i] = (char)('a' + (random >> 24) % 3);
    }
    count = merge_plainly(word, n, trial / longest, expected);
    lrp_bpe_clear(&w);
    for (int32_t i = 0; i < n; i++) assert_int_equal(lrp_bpe_append(&w, 1, -1), LRP_OK);
    const uint32_t seed = trial / longest;
    assert_int_equal(lrp_bpe_run(&w, word, find_by_text, &seed), LRP_OK);
    assert_int_equal(w.count, count);
    for (int32_t i = 0; i < count; i++) {
      assert_int_equal(w.symbols[i].start, expected[i].start);
      assert_int_equal(w.symbols[i].length, expected[i].length);
      assert_int_equal(w.symbols[i].id, expected[i].id);
    }
    merges += n - count;
  }
  assert_true(merges > 10000);
  lrp_bpe_free(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_merges_by_ids),
      cmocka_unit_test(test_equals_the_plain_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
