#include "kernels/nn/forest.h"

#include "tests/kernels/nn/nn_test.h"

/* ---- what every forest must be ---- */

static const lrp_branch *branch_of(const lrp_forest *f, const lrp_run *run) {
  assert_true(run->branch >= 0 && run->branch < f->n_branches);
  return &f->branches[run->branch];
}

/* Branches begin where their parents end, runs are whole branches and cover the rows in order. */
static void check_shape(const lrp_forest *f) {
  int64_t row = 0;
  assert_int_equal(f->batch.n_runs, f->n_branches);
  for (int64_t i = 0; i < f->n_branches; i++) {
    const lrp_branch *b = &f->branches[i];
    const lrp_run *run = &f->batch.runs[i];
    assert_true(b->parent >= -1 && b->parent < i && b->length > 0);
    if (b->parent < 0) assert_int_equal(b->start, 0);
    if (b->parent >= 0) {
      assert_int_equal(b->start, f->branches[b->parent].start + f->branches[b->parent].length);
    }
    assert_int_equal(run->branch, i);
    assert_int_equal(run->at, b->start);
    assert_int_equal(run->count, b->length);
    assert_int_equal(run->first, row);
    row += run->count;
  }
  assert_int_equal(row, f->batch.n_tokens);
}

/* Run that has a row of the batch. */
static const lrp_run *run_of(const lrp_forest *f, int64_t row) {
  const lrp_run *run = f->batch.runs;
  while (row >= run->first + run->count) run++;
  return run;
}

/* Token at a position of the path that ends with a run. */
static int32_t token_on_path(const lrp_forest *f, const lrp_run *run, int64_t position) {
  while (position < run->at) run = &f->batch.runs[branch_of(f, run)->parent];
  return f->batch.tokens[run->first + position - run->at];
}

/* Each target is read from a row whose path has the tokens before it. */
static void check_targets(const lrp_forest *f, const lrp_sequence *sequences, int64_t count) {
  const lrp_target *t = f->targets;
  for (int64_t s = 0; s < count; s++) {
    const lrp_sequence *q = &sequences[s];
    for (int64_t at = q->n_tokens - q->n_score; at < q->n_tokens; at++, t++) {
      assert_int_equal(t->token, q->tokens[at]);
      assert_true(t->row >= 0 && t->row < f->batch.n_rows);
      const int64_t row = f->batch.rows[t->row];
      const lrp_run *run = run_of(f, row);
      assert_int_equal(run->at + row - run->first, at - 1);
      for (int64_t i = 0; i < at; i++) {
        assert_int_equal(token_on_path(f, run, i), q->tokens[i]);
      }
    }
  }
  assert_int_equal(t - f->targets, f->n_targets);
}

/* Wanted rows ascend, and each is the aim of a target. */
static void check_rows(const lrp_forest *f) {
  for (int64_t i = 0; i < f->batch.n_rows; i++) {
    bool wanted = false;
    assert_true(f->batch.rows[i] >= 0 && f->batch.rows[i] < f->batch.n_tokens);
    if (i > 0) assert_true(f->batch.rows[i] > f->batch.rows[i - 1]);
    for (int64_t j = 0; j < f->n_targets; j++) wanted |= f->targets[j].row == i;
    assert_true(wanted);
  }
}

static void build(const lrp_sequence *sequences, int64_t count, bool share, lrp_forest *f) {
  assert_int_equal(lrp_forest_build(sequences, count, share, f), LRP_OK);
  check_shape(f);
  check_targets(f, sequences, count);
  check_rows(f);
}

/* ---- by hand ---- */

static lrp_sequence sequence(const int32_t *tokens, int64_t n, int64_t n_score) {
  return (lrp_sequence){.tokens = tokens, .n_tokens = n, .n_score = n_score};
}

static void check_branch(const lrp_forest *f, int64_t i, int64_t parent, int64_t start,
                         int64_t length) {
  assert_int_equal(f->branches[i].parent, parent);
  assert_int_equal(f->branches[i].start, start);
  assert_int_equal(f->branches[i].length, length);
}

/* A context of three tokens with three continuations, one of which is a beginning of another. */
static void test_question(void **state) {
  static const int32_t a[] = {5, 6, 7, 1, 9}, b[] = {5, 6, 7, 2, 9, 9}, c[] = {5, 6, 7, 2, 8};
  const lrp_sequence s[] = {sequence(b, 6, 3), sequence(a, 5, 2), sequence(c, 5, 2)};
  lrp_forest f;
  (void)state;
  build(s, 3, true, &f);
  assert_int_equal(f.n_branches, 4);
  check_branch(&f, 0, -1, 0, 3);
  check_branch(&f, 1, 0, 3, 1); /* 1 */
  check_branch(&f, 2, 0, 3, 1); /* 2 */
  check_branch(&f, 3, 2, 4, 1); /* 2 9: what comes last is never read */
  assert_int_equal(f.batch.n_tokens, 6);
  assert_int_equal(f.batch.n_rows, 4); /* after 7, 1, 2 and 9 */
  assert_int_equal(f.n_targets, 7);
  assert_int_equal(f.targets[0].row, f.targets[3].row);
  assert_int_equal(f.targets[0].row, f.targets[5].row);
  lrp_forest_free(&f);
}

static void test_alone(void **state) {
  static const int32_t a[] = {3, 4, 5, 6};
  const lrp_sequence s[] = {sequence(a, 4, 1)};
  lrp_forest f;
  (void)state;
  for (int share = 0; share < 2; share++) {
    build(s, 1, share, &f);
    assert_int_equal(f.n_branches, 1);
    check_branch(&f, 0, -1, 0, 3);
    assert_int_equal(f.batch.rows[0], 2);
    lrp_forest_free(&f);
  }
}

/* Only the last tokens differ: one row answers all. */
static void test_same_inputs(void **state) {
  static const int32_t a[] = {3, 4, 5}, b[] = {3, 4, 6}, c[] = {3, 4, 5};
  const lrp_sequence s[] = {sequence(a, 3, 1), sequence(b, 3, 2), sequence(c, 3, 1)};
  lrp_forest f;
  (void)state;
  build(s, 3, true, &f);
  assert_int_equal(f.n_branches, 1);
  assert_int_equal(f.batch.n_tokens, 2);
  assert_int_equal(f.batch.n_rows, 2);
  lrp_forest_free(&f);
  build(s, 3, false, &f);
  assert_int_equal(f.n_branches, 3);
  assert_int_equal(f.batch.n_tokens, 6);
  assert_int_equal(f.batch.n_rows, 4);
  lrp_forest_free(&f);
}

/* Each one continues the one before it, then nothing in common. */
static void test_chain(void **state) {
  static const int32_t a[] = {1, 2, 3, 4, 5, 6, 7}, b[] = {2, 1, 1};
  const lrp_sequence s[] = {sequence(a, 7, 1), sequence(a, 3, 1), sequence(b, 3, 1),
                            sequence(a, 5, 1)};
  lrp_forest f;
  (void)state;
  build(s, 4, true, &f);
  assert_int_equal(f.n_branches, 4);
  check_branch(&f, 0, -1, 0, 2);
  check_branch(&f, 1, 0, 2, 2);
  check_branch(&f, 2, 1, 4, 2);
  check_branch(&f, 3, -1, 0, 2);
  lrp_forest_free(&f);
}

/* ---- against a tree that takes a token at a time ---- */

enum { most = 40, longest = 12, nodes_most = most * longest };

typedef struct {
  int child[nodes_most][3]; /* 0: none */
  int size;                 /* node 0 is the root and no token */
  bool end[nodes_most];
} tree;

static void add_to_tree(tree *t, const lrp_sequence *s) {
  int node = 0;
  for (int64_t i = 0; i + 1 < s->n_tokens; i++) {
    int *child = &t->child[node][s->tokens[i]];
    if (*child == 0) *child = ++t->size;
    node = *child;
  }
  t->end[node] = true;
}

/* Branches end where inputs end, at forks, and at the roots. */
static int64_t branches_of(const tree *t) {
  int64_t branches = 0;
  for (int node = 0; node <= t->size; node++) {
    int children = 0;
    for (int c = 0; c < 3; c++) children += t->child[node][c] > 0;
    if (node == 0 || t->end[node] || children > 1) branches += children;
  }
  return branches;
}

static uint64_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}

static int64_t random_sequences(uint64_t seed, int32_t tokens[most][longest], lrp_sequence *s) {
  uint64_t state = seed;
  const int64_t count = 1 + (int64_t)(next_random(&state) % most);
  const uint64_t letters = 1 + next_random(&state) % 3;
  for (int64_t i = 0; i < count; i++) {
    const int64_t n = 2 + (int64_t)(next_random(&state) % (longest - 1));
    for (int64_t j = 0; j < n; j++) tokens[i][j] = (int32_t)(next_random(&state) % letters);
    s[i] = sequence(tokens[i], n, 1 + (int64_t)(next_random(&state) % (uint64_t)(n - 1)));
  }
  return count;
}

static void test_random_forests(void **state) {
  static int32_t tokens[most][longest];
  static tree t;
  lrp_sequence s[most];
  lrp_forest f;
  (void)state;
  for (uint64_t seed = 0; seed < 300; seed++) {
    const int64_t count = random_sequences(seed, tokens, s);
    memset(&t, 0, sizeof t);
    for (int64_t i = 0; i < count; i++) add_to_tree(&t, &s[i]);
    build(s, count, true, &f);
    assert_int_equal(f.batch.n_tokens, t.size); /* every distinct beginning once */
    assert_int_equal(f.n_branches, branches_of(&t));
    lrp_forest_free(&f);
    build(s, count, false, &f);
    assert_int_equal(f.n_branches, count);
    lrp_forest_free(&f);
  }
}

static void test_order_does_not_matter(void **state) {
  static int32_t tokens[most][longest];
  lrp_sequence s[most], turned[most];
  lrp_forest f, g;
  (void)state;
  for (uint64_t seed = 0; seed < 50; seed++) {
    const int64_t count = random_sequences(seed, tokens, s);
    for (int64_t i = 0; i < count; i++) turned[i] = s[count - 1 - i];
    build(s, count, true, &f);
    build(turned, count, true, &g);
    assert_int_equal(f.n_branches, g.n_branches);
    assert_memory_equal(f.branches, g.branches, sizeof(lrp_branch) * (size_t)f.n_branches);
    assert_int_equal(f.batch.n_rows, g.batch.n_rows);
    assert_memory_equal(f.batch.tokens, g.batch.tokens, 4 * (size_t)f.batch.n_tokens);
    assert_memory_equal(f.batch.rows, g.batch.rows, 8 * (size_t)f.batch.n_rows);
    lrp_forest_free(&g);
    lrp_forest_free(&f);
  }
}

static void test_collect(void **state) {
  static const int32_t a[] = {3, 4, 5, 6}, b[] = {3, 4, 6};
  lrp_sequence s[] = {sequence(a, 4, 3), sequence(b, 3, 1)};
  lrp_forest f;
  (void)state;
  build(s, 2, true, &f);
  for (int i = 0; i < 4; i++) {
    f.targets[i].logprob = -(double)(1 << i);
    f.targets[i].greedy = i != 1;
  }
  lrp_forest_collect(&f, s, 2);
  assert_true(s[0].loglikelihood == -7.0 && !s[0].greedy);
  assert_true(s[1].loglikelihood == -8.0 && s[1].greedy);
  lrp_forest_free(&f);
}

static void test_nothing_and_nonsense(void **state) {
  static const int32_t a[] = {3, 4, 5};
  lrp_forest f;
  (void)state;
  build(NULL, 0, true, &f);
  assert_int_equal(f.n_branches + f.n_targets + f.batch.n_tokens, 0);
  lrp_forest_free(&f);
  for (int64_t n_score = 0; n_score <= 3; n_score += 3) {
    const lrp_sequence s[] = {sequence(a, 3, 1), sequence(a, 3, n_score)};
    assert_int_equal(lrp_forest_build(s, 2, true, &f), LRP_ERR_BUG);
    assert_null(f.branches);
    assert_null(f.batch.tokens);
    lrp_forest_free(&f);
    lrp_failure_clear();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_question),       cmocka_unit_test(test_alone),
      cmocka_unit_test(test_same_inputs),    cmocka_unit_test(test_chain),
      cmocka_unit_test(test_random_forests), cmocka_unit_test(test_order_does_not_matter),
      cmocka_unit_test(test_collect),        cmocka_unit_test(test_nothing_and_nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
