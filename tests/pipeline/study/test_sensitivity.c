/* Means over documents, and losses paired with the dense configuration, against plain sums. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/choice_loss.h"
#include "pipeline/sensitivity.h"

enum { layers = 3, tensors = 2, n_ranks = layers * tensors, choices = 3, docs_max = 9 };

static const char *const names[] = {"q_proj", "down_proj"};

/* ---- tasks ---- */

static const lrp_task_group family = {.name = "family"};
static const lrp_task_kind first_kind = {.name = "first", .metrics = &lrp_accuracies};
static const lrp_task_kind second_kind = {
    .name = "second", .metrics = &lrp_accuracies, .group = &family};
static const lrp_task_kind third_kind = {
    .name = "third", .metrics = &lrp_accuracies, .group = &family};
static const lrp_task_kind texts_kind = {
    .name = "texts", .output = LRP_ROLLING, .metrics = &lrp_text_perplexities};

/* A task and what a configuration answered. */
typedef struct {
  lrp_task task;
  lrp_doc docs[docs_max];
  double ll[docs_max * choices];
  uint8_t greedy[docs_max * choices];
} answered;

static int64_t lengths[choices] = {1, 1, 1};

static void ask(answered *a, const lrp_task_kind *kind, int64_t n) {
  *a = (answered){.task = {.kind = kind, .n_docs = n, .n_requests = n * choices}};
  for (int64_t i = 0; i < n; i++) {
    a->docs[i] = (lrp_doc){.first = i * choices,
                           .n = choices,
                           .gold = (int)(i % choices),
                           .chars = lengths,
                           .bytes = lengths,
                           .words = 3,
                           .text_bytes = 9};
  }
}

static void answer(answered *a) {
  for (int i = 0; i < docs_max * choices; i++) a->ll[i] = -8.0 * rand() / RAND_MAX;
}

/* Three tasks, two of them in a group; without questions: texts alone. */
typedef struct {
  answered a[3];
  lrp_task tasks[3];
  lrp_scores scores[3];
  int n;
  lrp_headline headlines[2];
  int n_headlines;
} exam;

static void take(exam *e) {
  for (int t = 0; t < e->n; t++) {
    e->a[t].task.docs = e->a[t].docs;
    e->tasks[t] = e->a[t].task;
    answer(&e->a[t]);
    e->scores[t] = (lrp_scores){.task = &e->tasks[t], .ll = e->a[t].ll, .greedy = e->a[t].greedy};
  }
}

static void questions(exam *e, int64_t n0, int64_t n1, int64_t n2) {
  const lrp_metric *acc = &lrp_accuracies.metric[0];
  *e = (exam){.n = 3, .n_headlines = 2};
  ask(&e->a[0], &first_kind, n0);
  ask(&e->a[1], &second_kind, n1);
  ask(&e->a[2], &third_kind, n2);
  e->headlines[0] = (lrp_headline){.name = "first", .metric = acc};
  e->headlines[1] = (lrp_headline){.name = "family", .group = &family, .metric = acc};
  take(e);
}

/* ---- plain sums ---- */

/* Values of the documents of task t in half, or of its losses. */
static int values_of(const exam *e, int t, lrp_half half, bool losses, double out[docs_max]) {
  const answered *a = &e->a[t];
  int n = 0;
  for (int i = 0; i < (int)a->task.n_docs; i++) {
    const double *ll = a->ll + a->docs[i].first;
    int best = 0;
    if (!(half & (i % 2 == 0 ? LRP_EVEN : LRP_ODD))) continue;
    for (int c = 1; c < choices; c++) best = ll[c] > ll[best] ? c : best;
    out[n++] = losses ? lrp_choice_loss(ll, choices, a->docs[i].gold, a->docs[i].truth)
                      : (best == a->docs[i].gold ? 1.0 : 0.0);
  }
  return n;
}

static double mean_of(const double *x, int n) {
  double sum = 0.0;
  for (int i = 0; i < n; i++) sum += x[i];
  return sum / n;
}

static double squares_of(const double *x, int n) {
  double sum = 0.0;
  for (int i = 0; i < n; i++) sum += (x[i] - mean_of(x, n)) * (x[i] - mean_of(x, n));
  return sum;
}

/* Mean and its error of b - a over all tasks; a NULL: of b. */
static lrp_estimate loss_by_sums(const exam *a, const exam *b, lrp_half half) {
  double x[3 * docs_max], base[docs_max];
  int n = 0;
  for (int t = 0; t < 3; t++) {
    const int more = values_of(b, t, half, true, x + n);
    if (a) values_of(a, t, half, true, base);
    for (int i = 0; a && i < more; i++) x[n + i] -= base[i];
    n += more;
  }
  return (lrp_estimate){mean_of(x, n), sqrt(squares_of(x, n) / (n - 1) / n)};
}

static lrp_estimate score_by_sums(const exam *a, const exam *b, lrp_half half) {
  double x[3][docs_max], base[docs_max], squares[3];
  int n[3];
  for (int t = 0; t < 3; t++) {
    n[t] = values_of(b, t, half, false, x[t]);
    if (a) values_of(a, t, half, false, base);
    for (int i = 0; a && i < n[t]; i++) x[t][i] = base[i] - x[t][i];
    squares[t] = squares_of(x[t], n[t]);
  }
  const double together = (n[1] * mean_of(x[1], n[1]) + n[2] * mean_of(x[2], n[2])) / (n[1] + n[2]);
  const double first = squares[0] / (n[0] - 1) / n[0];
  const double second = (squares[1] + squares[2]) / (n[1] + n[2] - 2) / (n[1] + n[2]);
  return (lrp_estimate){(mean_of(x[0], n[0]) + together) / 2, sqrt(first + second) / 2};
}

static void assert_near(double a, double b) {
  assert_true(fabs(a - b) <= 1e-13 * (1.0 + fabs(b)));
}

static void assert_estimate(lrp_estimate a, lrp_estimate b) {
  assert_near(a.value, b.value);
  assert_near(a.stderr_, b.stderr_);
}

/* ---- tests ---- */

static void documents_of(const exam *e, lrp_documents *docs) {
  assert_int_equal(lrp_documents_init(docs, e->tasks, e->n, e->headlines, e->n_headlines), LRP_OK);
}

static void test_means(void **state) {
  static const lrp_half halves[] = {LRP_EVEN, LRP_ODD, LRP_BOTH};
  exam e;
  lrp_documents docs;
  double loss[3 * docs_max], score[3 * docs_max];
  (void)state;
  srand(3);
  questions(&e, 7, 4, 9);
  documents_of(&e, &docs);
  assert_int_equal(lrp_documents_count(&docs), 20);
  assert_int_equal(lrp_documents_losses(&docs, LRP_EVEN), 4 + 2 + 5);
  assert_int_equal(lrp_documents_losses(&docs, LRP_ODD), 3 + 2 + 4);
  assert_int_equal(docs.n_entries, 2);
  assert_true(docs.choice);
  assert_int_equal(lrp_documents_values(&docs, e.scores, loss, score), LRP_OK);
  for (int h = 0; h < 3; h++) {
    assert_estimate(lrp_mean_loss(&docs, loss, halves[h]), loss_by_sums(NULL, &e, halves[h]));
    assert_estimate(lrp_mean_score(&docs, score, halves[h]), score_by_sums(NULL, &e, halves[h]));
  }
  lrp_documents_free(&docs);
}

/* One document of each task: no held out ones, no errors. */
static void test_single_documents(void **state) {
  exam e;
  lrp_documents docs;
  double loss[3], score[3];
  (void)state;
  questions(&e, 1, 1, 1);
  documents_of(&e, &docs);
  assert_int_equal(lrp_documents_values(&docs, e.scores, loss, score), LRP_OK);
  assert_true(isnan(lrp_mean_loss(&docs, loss, LRP_ODD).value));
  assert_true(isnan(lrp_mean_score(&docs, score, LRP_ODD).value));
  assert_near(lrp_mean_loss(&docs, loss, LRP_EVEN).value, (loss[0] + loss[1] + loss[2]) / 3);
  assert_near(lrp_mean_score(&docs, score, LRP_BOTH).value,
              (score[0] + (score[1] + score[2]) / 2) / 2);
  assert_true(isnan(lrp_mean_score(&docs, score, LRP_BOTH).stderr_));
  lrp_documents_free(&docs);

  questions(&e, 1, 0, 0);
  e.n = e.n_headlines = 1;
  documents_of(&e, &docs);
  assert_true(isnan(lrp_mean_loss(&docs, loss, LRP_EVEN).stderr_));
  assert_true(isnan(lrp_mean_score(&docs, score, LRP_BOTH).stderr_));
  lrp_documents_free(&docs);
}

/* A document without a right choice has no loss; one with several has that of their share. */
static void test_truth(void **state) {
  bool none[choices] = {false}, two[choices] = {true, false, true};
  exam e;
  lrp_documents docs;
  double loss[3 * docs_max], score[3 * docs_max];
  (void)state;
  questions(&e, 3, 2, 2);
  e.a[0].docs[0].truth = none;
  e.a[0].docs[1].truth = two;
  documents_of(&e, &docs);
  assert_int_equal(lrp_documents_losses(&docs, LRP_EVEN), 3);
  assert_int_equal(lrp_documents_losses(&docs, LRP_ODD), 3);
  assert_int_equal(lrp_documents_values(&docs, e.scores, loss, score), LRP_OK);
  assert_true(loss[0] == 0.0);
  assert_near(loss[1], lrp_choice_loss(e.a[0].ll + choices, choices, 0, two));
  lrp_documents_free(&docs);
}

/* Texts have neither a loss nor a score, and do not disturb those that do. */
static void test_texts(void **state) {
  exam e;
  lrp_documents docs;
  (void)state;
  questions(&e, 2, 2, 0);
  ask(&e.a[0], &texts_kind, 5);
  e.headlines[0] = (lrp_headline){.name = "texts", .metric = &lrp_text_perplexities.metric[0]};
  take(&e);
  documents_of(&e, &docs);
  assert_int_equal(lrp_documents_losses(&docs, LRP_BOTH), 2);
  assert_int_equal(docs.n_entries, 1);
  lrp_documents_free(&docs);

  e.n = e.n_headlines = 1;
  documents_of(&e, &docs);
  assert_int_equal(lrp_documents_losses(&docs, LRP_BOTH), 0);
  assert_int_equal(docs.n_entries, 0);
  assert_false(docs.choice);
  lrp_documents_free(&docs);
}

/* Without questions a loss is what is missing from the score, of percents, too. */
static void test_losses_of_scores(void **state) {
  static const lrp_task_kind classes = {
      .name = "first", .output = LRP_CLASSES, .metrics = &lrp_accuracy, .labels = {"a", "b", "c"}};
  exam e;
  lrp_documents docs;
  double loss[docs_max], score[docs_max];
  (void)state;
  questions(&e, 6, 0, 0);
  ask(&e.a[0], &classes, 6);
  e.n = e.n_headlines = 1;
  take(&e);
  documents_of(&e, &docs);
  assert_false(docs.choice);
  assert_int_equal(lrp_documents_losses(&docs, LRP_BOTH), 6);
  assert_int_equal(lrp_documents_values(&docs, e.scores, loss, score), LRP_OK);
  for (int i = 0; i < 6; i++) assert_true(loss[i] == 1.0 - score[i]);
  lrp_documents_free(&docs);

  const lrp_task_kind spans = {.output = LRP_SPANS, .metrics = &lrp_answers};
  assert_true(lrp_metric_full(&spans, &lrp_answers.metric[0]) == 100.0);
  assert_true(lrp_metric_full(&classes, &lrp_accuracy.metric[0]) == 1.0);
  assert_true(isnan(lrp_metric_full(&texts_kind, &lrp_text_perplexities.metric[0])));
}

/* By the sets of layers and tensors that have a rank. */
static void test_shapes(void **state) {
  (void)state;
  for (int mask = 0; mask < 1 << n_ranks; mask++) {
    int rank[n_ranks], n = 0, layer_set = 0, tensor_set = 0;
    for (int i = 0; i < n_ranks; i++) {
      rank[i] = mask >> i & 1 ? 1 + i : 0;
      if (rank[i] == 0) continue;
      n++;
      layer_set |= 1 << i / tensors;
      tensor_set |= 1 << i % tensors;
    }
    const bool one_layer = (layer_set & (layer_set - 1)) == 0;
    const bool one_tensor = (tensor_set & (tensor_set - 1)) == 0;
    const lrp_shape several = one_layer    ? LRP_SHAPE_LAYER
                              : one_tensor ? LRP_SHAPE_TENSOR
                                           : LRP_SHAPE_MIXED;
    const lrp_shape expected = n == 0 ? LRP_SHAPE_DENSE : n == 1 ? LRP_SHAPE_UNIT : several;
    assert_int_equal(lrp_configuration_shape(rank, layers, tensors), expected);
  }
}

static void assert_member(const json_t *object, const char *key, double value) {
  const json_t *member = json_object_get(object, key);
  assert_true(json_is_number(member));
  assert_near(json_number_value(member), value);
}

static void assert_members(const json_t *object, const char *key, lrp_estimate e) {
  char key_stderr[48];
  snprintf(key_stderr, sizeof key_stderr, "%s_stderr", key);
  assert_member(object, key, e.value);
  assert_member(object, key_stderr, e.stderr_);
}

static lrp_estimate percents(lrp_estimate e) {
  return (lrp_estimate){100.0 * e.value, 100.0 * e.stderr_};
}

static void add(lrp_sensitivity *s, const lrp_documents *docs, const exam *e, const char *name,
                const int *rank) {
  double loss[3 * docs_max], score[3 * docs_max];
  const lrp_measured c = {name, 5.0, rank, loss, score};
  assert_int_equal(lrp_documents_values(docs, e->scores, loss, score), LRP_OK);
  assert_int_equal(lrp_sensitivity_add(s, &c), LRP_OK);
}

/* What every object of configurations, units, layers and tensors says. */
static void assert_effect(const json_t *all, const char *list, const char *name, const exam *dense,
                          const exam *e) {
  const json_t *c = json_array_get(json_object_get(all, list), 0);
  assert_string_equal(json_string_value(json_object_get(c, "configuration")), name);
  assert_member(c, "reduction_percent", 5.0);
  assert_members(c, "loss", loss_by_sums(dense, e, LRP_EVEN));
  assert_members(c, "score_drop", percents(score_by_sums(dense, e, LRP_BOTH)));
}

static void assert_text(const json_t *all, const char *list, const char *key, const char *text) {
  char *found = json_dumps(json_object_get(json_array_get(json_object_get(all, list), 0), key),
                           JSON_COMPACT | JSON_ENCODE_ANY);
  assert_string_equal(found, text);
  free(found);
}

static lrp_sensitivity *start(const exam *dense, const lrp_documents *docs) {
  static const int none[n_ranks] = {0};
  double loss[3 * docs_max], score[3 * docs_max];
  lrp_sensitivity *s;
  assert_int_equal(lrp_documents_values(docs, dense->scores, loss, score), LRP_OK);
  const lrp_measured c = {"dense", 0.0, none, loss, score};
  assert_int_equal(lrp_sensitivity_create(docs, layers, tensors, names, &c, &s), LRP_OK);
  return s;
}

static void test_effects(void **state) {
  static const int unit[] = {0, 0, 0, 4, 0, 0}, layer[] = {0, 0, 0, 0, 2, 3};
  static const int tensor[] = {1, 0, 6, 0, 0, 0}, mixed[] = {1, 0, 0, 1, 0, 0};
  static exam dense, e[4];
  lrp_documents docs;
  (void)state;
  srand(5);
  questions(&dense, 9, 5, 6);
  for (int i = 0; i < 4; i++) questions(&e[i], 9, 5, 6);
  documents_of(&dense, &docs);
  lrp_sensitivity *s = start(&dense, &docs);
  add(s, &docs, &e[3], "mixed", mixed);
  add(s, &docs, &e[0], "unit", unit);
  add(s, &docs, &e[1], "layer", layer);
  add(s, &docs, &e[2], "tensor", tensor);
  json_t *all = lrp_sensitivity_json(s);
  lrp_sensitivity_destroy(&s);

  assert_string_equal(json_string_value(json_object_get(all, "measure")), "choice_loss");
  const json_t *base = json_object_get(all, "dense");
  assert_member(base, "loss", loss_by_sums(NULL, &dense, LRP_EVEN).value);
  assert_member(base, "held_out_loss", loss_by_sums(NULL, &dense, LRP_ODD).value);
  assert_members(base, "held_out_score", score_by_sums(NULL, &dense, LRP_ODD));
  assert_member(base, "documents", 5 + 3 + 3);
  assert_member(base, "held_out_documents", 4 + 2 + 3);

  const json_t *configurations = json_object_get(all, "configurations");
  assert_int_equal(json_array_size(configurations), 4);
  const json_t *first = json_array_get(configurations, 0);
  assert_members(first, "loss", loss_by_sums(&dense, &e[3], LRP_EVEN));
  assert_members(first, "held_out_loss", loss_by_sums(&dense, &e[3], LRP_ODD));
  assert_members(first, "held_out_score", score_by_sums(NULL, &e[3], LRP_ODD));

  assert_effect(all, "units", "unit", &dense, &e[0]);
  assert_text(all, "units", "layer", "1");
  assert_text(all, "units", "tensor", "\"down_proj\"");
  assert_text(all, "units", "rank", "4");
  assert_effect(all, "layers", "layer", &dense, &e[1]);
  assert_text(all, "layers", "layer", "2");
  assert_text(all, "layers", "tensors", "[\"q_proj\",\"down_proj\"]");
  assert_text(all, "layers", "ranks", "[2,3]");
  assert_effect(all, "tensors", "tensor", &dense, &e[2]);
  assert_text(all, "tensors", "layers", "[0,1]");
  assert_text(all, "tensors", "tensor", "\"q_proj\"");
  assert_text(all, "tensors", "ranks", "[1,6]");
  json_decref(all);
  lrp_documents_free(&docs);
}

/* A loss that is no number is null, and says nothing of the others. */
static void test_no_numbers(void **state) {
  static const int unit[] = {1, 0, 0, 0, 0, 0};
  exam dense, e;
  lrp_documents docs;
  (void)state;
  questions(&dense, 4, 2, 2);
  e = dense;
  take(&e);
  documents_of(&dense, &docs);
  lrp_sensitivity *s = start(&dense, &docs);
  for (int c = 0; c < choices; c++) e.a[0].ll[c] = NAN;
  add(s, &docs, &e, "nan", unit);
  e.a[0].ll[0] = -INFINITY;
  e.a[0].ll[1] = e.a[0].ll[2] = -1.0;
  add(s, &docs, &e, "infinite", unit);
  json_t *all = lrp_sensitivity_json(s);
  for (size_t i = 0; i < 2; i++) {
    const json_t *c = json_array_get(json_object_get(all, "configurations"), i);
    assert_true(json_is_null(json_object_get(c, "loss")));
    assert_true(json_is_null(json_object_get(c, "loss_stderr")));
    assert_members(c, "held_out_loss", loss_by_sums(&dense, &e, LRP_ODD));
  }
  json_decref(all);
  lrp_sensitivity_destroy(&s);
  lrp_sensitivity_destroy(&s);
  lrp_documents_free(&docs);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_means),
      cmocka_unit_test(test_single_documents),
      cmocka_unit_test(test_truth),
      cmocka_unit_test(test_texts),
      cmocka_unit_test(test_losses_of_scores),
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_effects),
      cmocka_unit_test(test_no_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
