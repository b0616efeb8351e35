/* When answers end, what text they are, and how prompts advance together: with a tokenizer of bytes
 * and a model that is a function of all tokens before. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>

#include "byte_tokenizer.h"
#include "pipeline/generate.h"
#include "task_file.h"

static lrp_endings endings_of(int64_t max_new, const char *first, const char *second) {
  const lrp_task_kind kind = {.stops = {first, second}, .max_new = max_new};
  lrp_endings e;
  assert_int_equal(lrp_endings_init(&kind, NULL, &e), LRP_OK);
  return e;
}

/* ---- endings ---- */

/* The tokens of text that are generated until it ends; 0: it does not. */
static int64_t ends_at(const lrp_endings *e, const char *text, int32_t last) {
  int32_t tokens[128];
  const int64_t n = (int64_t)strlen(text);
  for (int64_t i = 0; i <= n; i++) {
    bool ended;
    tokens[i] = i < n ? (unsigned char)text[i] : last;
    assert_int_equal(lrp_endings_reached(e, tokens, i + 1, &ended), LRP_OK);
    if (ended) return i + 1;
  }
  return 0;
}

static void test_answers_end(void **state) {
  const lrp_endings e = endings_of(100, "Question:", "</s>");
  (void)state;
  assert_int_equal(ends_at(&e, "7\nQuestion: what", 'x'), 11);
  assert_int_equal(ends_at(&e, "Question:", 'x'), 9);
  assert_int_equal(ends_at(&e, "Question", 'x'), 0);
  assert_int_equal(ends_at(&e, "a</s>", 'x'), 5);
  assert_int_equal(ends_at(&e, "abc", eos), 4);
  assert_int_equal(ends_at(&e, "abc", bos), 0);
  assert_int_equal(ends_at(&(lrp_endings){.max_new = 3}, "abcdef", 'x'), 3);
}

/* Only the tail is decoded: as many tokens as the stop has, and two. */
static void test_the_tail_is_short(void **state) {
  const lrp_endings e = endings_of(100, "ab", NULL);
  const int32_t spelled[] = {'a', bos, bos, 'b'}, longer[] = {'a', bos, bos, bos, 'b'};
  bool ended;
  (void)state;
  assert_int_equal(lrp_endings_reached(&e, spelled, 4, &ended), LRP_OK);
  assert_true(ended);
  assert_int_equal(lrp_endings_reached(&e, longer, 5, &ended), LRP_OK);
  assert_false(ended);
}

/* A stop that is a special token is not in the decoded text. */
static void test_special_stops(void **state) {
  const lrp_endings e = endings_of(100, "\x01", NULL);
  (void)state;
  assert_int_equal(ends_at(&e, "abc", bos), 4);
  fake_eos = -1;
  const lrp_endings none = endings_of(100, "x", NULL);
  assert_int_equal(ends_at(&none, "abc", eos), 0);
  assert_int_equal(none.n_stops, 1);
  fake_eos = eos;
}

/* ---- what the model says ends a text ---- */

static lrp_status read_model(const char *generation, const char *config, lrp_endings *e) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'/*", task_dir);
  assert_int_equal(system(command), 0);
  if (generation) put_file("generation_config.json", generation);
  put_file("config.json", config);
  *e = endings_of(100, NULL, NULL);
  return lrp_endings_of_model(e, task_dir);
}

static void test_the_model_has_its_own(void **state) {
  lrp_endings e;
  (void)state;
  assert_int_equal(read_model("{\"eos_token_id\": [98, 2, 77]}", "{}", &e), LRP_OK);
  assert_int_equal(ends_at(&e, "aaM", 'x'), 3);
  assert_int_equal(ends_at(&e, "aabM", 'x'), 3);
  assert_int_equal(e.n_ends, 3);
  assert_int_equal(read_model(NULL, "{\"eos_token_id\": 77}", &e), LRP_OK);
  assert_int_equal(ends_at(&e, "abM", 'x'), 3);
  assert_int_equal(read_model("{\"eos_token_id\": null}", "{\"eos_token_id\": 77}", &e), LRP_OK);
  assert_int_equal(ends_at(&e, "abM", eos), 4);
  assert_int_equal(read_model(NULL, "{}", &e), LRP_OK);
  lrp_failure_clear();
  assert_int_equal(read_model("{\"eos_token_id\": [1, \"x\"]}", "{}", &e), LRP_ERR_DATA);
  assert_int_equal(read_model("{\"eos_token_id\": 4294967296}", "{}", &e), LRP_ERR_DATA);
  assert_int_equal(
      read_model("{\"eos_token_id\": [1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]}", "{}", &e),
      LRP_ERR_DATA);
  assert_int_equal(read_model("[]", "{}", &e), LRP_ERR_DATA);
  lrp_failure_clear();
}

static void assert_text(const lrp_endings *e, const char *generated, const char *expected) {
  int32_t tokens[32];
  const int64_t n = (int64_t)strlen(generated);
  for (int64_t i = 0; i < e->max_new; i++) tokens[i] = i < n ? (unsigned char)generated[i] : -1;
  char *text = lrp_endings_text(e, tokens);
  assert_non_null(text);
  assert_string_equal(text, expected);
  free(text);
}

static void test_texts_are_cut(void **state) {
  const lrp_endings e = endings_of(16, "Q:", "A:");
  (void)state;
  assert_text(&e, "", "");
  assert_text(&e, "12\n", "12\n");
  assert_text(&e, "0123456789abcdef", "0123456789abcdef");
  assert_text(&e, "12\nQ: 3 A: 4", "12\n");
  assert_text(&e, "A: 12 Q: 3", "");
  assert_text(&e, "x Q: Q: A:", "x ");
  assert_text(&e, "5\x02", "5"); /* EOS */
  fake_eos_text = "<e>";
  const lrp_endings spelled = endings_of(16, "Q:", NULL);
  assert_text(&spelled, "12<e>3 Q:", "12");
  fake_eos_text = "\x02";
}

/* ---- a model ---- */

enum { max_branches = 64, max_tokens = 6000 };

typedef struct {
  lrp_branch branches[max_branches];
  int64_t n;
  int32_t *tokens[max_branches];
  int64_t kept[max_branches];
  int64_t most; /* branches that a plan had */
  int passes, prompts_at_once;
  int fail_pass; /* in this pass: LRP_ERR_NUM; -1: in none */
  lrp_status told;
} hash_model;

static void forget(hash_model *m) {
  for (int64_t b = 0; b < m->n; b++) free(m->tokens[b]);
  m->n = 0;
}

static size_t bytes(void *self, const lrp_branch *branch) {
  (void)self;
  return (size_t)branch->length;
}

static lrp_status plan(void *self, lrp_status mine, const lrp_branch *branches, int64_t n) {
  hash_model *m = self;
  forget(m);
  if (mine != LRP_OK) return mine;
  assert_in_range(n, 1, max_branches);
  for (int64_t b = 0; b < n; b++) {
    m->branches[b] = branches[b];
    m->tokens[b] = calloc((size_t)branches[b].length, sizeof **m->tokens);
    m->kept[b] = 0;
    assert_true(branches[b].parent < b && branches[b].length > 0);
  }
  m->n = n;
  if (n > m->most) m->most = n;
  return LRP_OK;
}

static uint64_t mixed(uint64_t hash, int32_t token) {
  return (hash ^ (uint64_t)(uint32_t)token) * 0x9e3779b97f4a7c15u + (hash >> 29);
}

/* A digit or letter; sometimes EOS. */
static int32_t token_of(uint64_t hash) {
  const uint64_t h = hash >> 40;
  return h % 37 == 0 ? eos : (int32_t)('0' + h % 75);
}

/* Of all tokens up to position. */
static uint64_t path_hash(const hash_model *m, int64_t branch, int64_t position) {
  const lrp_branch *b = &m->branches[branch];
  uint64_t hash = b->parent >= 0 && b->start > 0 ? path_hash(m, b->parent, b->start - 1) : 1;
  for (int64_t i = b->start; i <= position; i++) {
    assert_true(i - b->start < m->kept[branch]);
    hash = mixed(hash, m->tokens[branch][i - b->start]);
  }
  return hash;
}

static void keep_run(hash_model *m, const lrp_batch *batch, const lrp_run *run) {
  const lrp_branch *b = &m->branches[run->branch];
  assert_in_range(run->branch, 0, m->n - 1);
  assert_int_equal(run->at, b->start + m->kept[run->branch]);
  assert_true(run->count > 0 && run->at + run->count <= b->start + b->length);
  for (int64_t i = 0; i < run->count; i++) {
    assert_true(batch->tokens[run->first + i] >= 0);
    m->tokens[run->branch][m->kept[run->branch]++] = batch->tokens[run->first + i];
  }
}

static lrp_status next(void *self, lrp_status mine, const lrp_batch *batch, int32_t *tokens) {
  hash_model *m = self;
  int64_t row = 0, wanted = 0;
  m->told = mine;
  if (mine != LRP_OK || !batch) return mine;
  if (m->passes++ == m->fail_pass) return LRP_ERR_NUM;
  for (int64_t r = 0; r < batch->n_runs; r++) {
    const lrp_run *run = &batch->runs[r];
    assert_int_equal(run->first, row);
    keep_run(m, batch, run);
    row += run->count;
    for (; wanted < batch->n_rows && batch->rows[wanted] < row; wanted++) {
      assert_true(batch->rows[wanted] >= run->first);
      const int64_t position = run->at + batch->rows[wanted] - run->first;
      tokens[wanted] = token_of(path_hash(m, run->branch, position));
    }
  }
  assert_int_equal(row, batch->n_tokens);
  assert_int_equal(wanted, batch->n_rows);
  if (batch->n_rows > m->prompts_at_once) m->prompts_at_once = (int)batch->n_rows;
  return LRP_OK;
}

/* The definition: one token after the other. */
static void generate_alone(const lrp_endings *e, const lrp_prompt *prompt, int32_t *out) {
  uint64_t hash = 1;
  bool ended = false;
  for (int64_t i = 0; i < e->max_new; i++) out[i] = -1;
  for (int64_t i = 0; i < prompt->n_tokens; i++) hash = mixed(hash, prompt->tokens[i]);
  for (int64_t i = 0; !ended; i++) {
    out[i] = token_of(hash);
    hash = mixed(hash, out[i]);
    assert_int_equal(lrp_endings_reached(e, out, i + 1, &ended), LRP_OK);
  }
}

/* ---- prompts together ---- */

enum { n_prompts = 11 };

typedef struct {
  int32_t tokens[n_prompts][max_tokens];
  lrp_prompt prompts[n_prompts];
} prompt_set;

/* Common beginnings, a prompt that begins another one, equal ones, single tokens, and two that are
 * longer than a pass. */
static void make_prompts(prompt_set *s) {
  static const int64_t lengths[n_prompts] = {40, 25, 25, 33, 1, 1, 5000, 4999, 40, 2, 2048};
  for (int i = 0; i < n_prompts; i++) {
    for (int64_t j = 0; j < lengths[i]; j++) {
      s->tokens[i][j] = (int32_t)(j < 30 ? 'a' + j % 7 : 'a' + (j * (i % 3 + 1)) % 11);
    }
    s->prompts[i] = (lrp_prompt){.tokens = s->tokens[i], .n_tokens = lengths[i]};
  }
  s->tokens[3][10] = 'X';
  s->tokens[5][0] = 'Y';
}

static void check(const prompt_set *s, const lrp_endings *e, int first, int n, bool share,
                  int64_t limit, hash_model *m, int64_t *computed) {
  const lrp_decoder decoder = {.self = m, .bytes = bytes, .plan = plan, .next = next};
  const lrp_generate_options options = {.share = share, .bytes_limit = limit};
  const size_t size = (size_t)e->max_new;
  int32_t *out = malloc((size_t)n * size * sizeof *out), *alone = malloc(size * sizeof *alone);
  *m = (hash_model){.fail_pass = -1};
  assert_int_equal(lrp_generate(&decoder, e, s->prompts + first, n, &options, out, computed),
                   LRP_OK);
  for (int i = 0; i < n; i++) {
    generate_alone(e, &s->prompts[first + i], alone);
    assert_memory_equal(out + (size_t)i * size, alone, size * sizeof *alone);
  }
  forget(m);
  free(alone);
  free(out);
}

static void test_together_as_alone(void **state) {
  static prompt_set s;
  const lrp_endings e = endings_of(60, "7A", "x");
  int64_t shared, single;
  hash_model m;
  (void)state;
  make_prompts(&s);
  check(&s, &e, 0, n_prompts, true, INT64_MAX, &m, &shared);
  assert_in_range(m.prompts_at_once, n_prompts - 2,
                  n_prompts); /* some end with their first token */
  check(&s, &e, 0, n_prompts, false, INT64_MAX, &m, &single);
  assert_int_equal(m.most, n_prompts);
  assert_true(shared < single && single > 12000);
  check(&s, &e, 0, n_prompts, true, 400, &m, &shared);
  assert_true(m.prompts_at_once < 6);
  check(&s, &e, 0, n_prompts, true, 0, &m, &single);
  assert_int_equal(m.prompts_at_once, 1);
  for (int first = 0; first < n_prompts; first += 3) {
    check(&s, &e, first, n_prompts - first < 3 ? n_prompts - first : 3, true, 1000, &m, &shared);
  }
}

static void test_one_token(void **state) {
  static prompt_set s;
  const lrp_endings e = endings_of(1, NULL, NULL);
  int64_t computed;
  hash_model m;
  (void)state;
  make_prompts(&s);
  check(&s, &e, 0, 5, true, INT64_MAX, &m, &computed);
  assert_int_equal(m.passes, 1);
  assert_int_equal(computed,
                   40 + 23); /* one has 10 tokens in common with the first, the others all */
}

/* A failing pass is not told again; it ends the generation. */
static void test_a_failing_pass(void **state) {
  static prompt_set s;
  const lrp_endings e = endings_of(60, NULL, NULL);
  const lrp_generate_options options = {.share = true, .bytes_limit = INT64_MAX};
  int32_t out[n_prompts * 60];
  int64_t computed;
  (void)state;
  make_prompts(&s);
  for (int fail = 0; fail < 9; fail++) {
    hash_model m = {.fail_pass = fail};
    const lrp_decoder decoder = {.self = &m, .bytes = bytes, .plan = plan, .next = next};
    assert_int_equal(lrp_generate(&decoder, &e, s.prompts, n_prompts, &options, out, &computed),
                     LRP_ERR_NUM);
    assert_int_equal(m.passes, fail + 1);
    assert_int_equal(m.told, LRP_OK);
    forget(&m);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_answers_end),   cmocka_unit_test(test_the_tail_is_short),
      cmocka_unit_test(test_special_stops), cmocka_unit_test(test_the_model_has_its_own),
      cmocka_unit_test(test_texts_are_cut), cmocka_unit_test(test_together_as_alone),
      cmocka_unit_test(test_one_token),     cmocka_unit_test(test_a_failing_pass),
  };
  return cmocka_run_group_tests(tests, task_dir_create, task_dir_remove);
}
