/* Shots: solved examples in front of the contexts of a task's documents. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "pipeline/python_random.h"
#include "pipeline/python_text.h"
#include "pipeline/task_parts.h"

/* The harness's fewshot_seed. */
enum { seed = 1234 };

/* ---- the file ---- */

/* <folder of beside>/<split>.jsonl; freed by the caller. */
static char *file_of_split(const char *beside, const char *split) {
  const char *slash = strrchr(beside, '/');
  return lrp_text_format("%.*s%s.jsonl", slash ? (int)(slash + 1 - beside) : 0, beside, split);
}

/* The file of a split, beside the evaluated one, else beside another one of the task's. */
static lrp_status open_split(lrp_task *task, const char *split, const lrp_task_source *source,
                             const lrp_task *loaded, int n_loaded) {
  const char *const beside[] = {task->data->file, task->kind->files[0], task->kind->files[1]};
  lrp_status st = LRP_ERR_ABSENT;
  for (size_t i = 0; i < 3 && st == LRP_ERR_ABSENT && beside[i]; i++) {
    char *file = file_of_split(beside[i], split);
    lrp_failure_clear();
    st = file ? lrp_dataset_open(file, source, loaded, n_loaded, task, &task->shots.data)
              : LRP_ERR_MEM;
    free(file);
  }
  return st;
}

static lrp_status fail_absent(const lrp_task *task, const lrp_task_source *source) {
  lrp_failure_clear();
  char *file = file_of_split(task->data->file, task->shots.split);
  char *path = file ? lrp_path_join(source->dir, file) : NULL;
  lrp_status st = LRP_ERR_MEM;
  if (path) {
    st = lrp_fail(LRP_ERR_ABSENT,
                  "evaluate.data: task %s with %" PRId64 " shots of the split %s expects %s",
                  task->kind->name, task->shots.n, task->shots.split, path);
  }
  free(path);
  free(file);
  return st;
}

lrp_status lrp_task_find_shots(lrp_task *task, const lrp_task_source *source,
                               const lrp_task *loaded, int n_loaded) {
  static const char *const splits[] = {"train", "validation", "test"};
  lrp_task_shots *shots = &task->shots;
  lrp_status st = LRP_ERR_ABSENT;

  if (source->num_fewshot == 0 || task->kind->shots == LRP_SHOTS_NONE) return LRP_OK;
  shots->n = source->num_fewshot;
  shots->split = source->fewshot_split ? source->fewshot_split : task->kind->fewshot_split;
  if (shots->split) {
    st = open_split(task, shots->split, source, loaded, n_loaded);
    return st == LRP_ERR_ABSENT ? fail_absent(task, source) : st;
  }
  for (size_t i = 0; i < 3 && st == LRP_ERR_ABSENT; i++) { /* test is there if nothing else is */
    st = open_split(task, splits[i], source, loaded, n_loaded);
  }
  return st;
}

/* ---- the draws ---- */

struct lrp_preamble {
  char *description; /* owned */
  bool one_more;     /* draw a shot more, as one may be the document itself */
  int64_t *rows;     /* owned, n_rows: those of the few-shot file that are the task's */
  int64_t n_rows;
  int64_t *drawn; /* owned: of one document, indices of rows */
  char **texts;   /* owned, n_rows: of the rows that were drawn before */
  lrp_random random;
  lrp_task scratch; /* in which a row becomes a text; its data is borrowed */
};

/* The harness draws one more where the names of the two splits are equal, also as both are
 * undeclared; a validation file stands for a test split that is not declared. */
static bool draws_one_more(const lrp_task *task) {
  char evaluated[LRP_SPLIT];
  const bool test = strcmp(lrp_dataset_split(task->data, evaluated), "test") == 0;
  if (task->kind->shots != LRP_SHOTS_DRAWN) return false;
  return task->shots.split ? test && strcmp(task->shots.split, "test") == 0 : !test;
}

static lrp_status list_rows(lrp_preamble *p, const lrp_task *task) {
  const lrp_dataset *data = task->shots.data;
  lrp_status st = LRP_OK;
  for (int64_t row = 0; st == LRP_OK && row < data->rows.count; row++) {
    bool ours;
    st = lrp_dataset_is_ours(data, task->kind, row, &ours);
    if (st == LRP_OK && ours) p->rows[p->n_rows++] = row;
  }
  const int64_t wanted = task->shots.n + p->one_more;
  if (st != LRP_OK || wanted <= p->n_rows) return st;
  return lrp_fail(LRP_ERR_JOB,
                  "evaluate.num_fewshot: task %s: %" PRId64 " shots%s, but %s has %" PRId64
                  " rows for them; ask for fewer",
                  task->kind->name, task->shots.n, p->one_more ? ", drawn with one to spare" : "",
                  data->rows.path, p->n_rows);
}

static lrp_status prepare_draws(lrp_preamble *p, const lrp_task *task) {
  const size_t n = (size_t)task->shots.data->rows.count + 1;
  p->one_more = draws_one_more(task);
  p->scratch = (lrp_task){.kind = task->kind, .data = task->shots.data};
  p->rows = malloc(n * sizeof *p->rows);
  p->drawn = malloc(n * sizeof *p->drawn);
  p->texts = calloc(n, sizeof *p->texts);
  if (!p->rows || !p->drawn || !p->texts) return lrp_fail_memory(n * 24, "the few-shot rows");
  lrp_random_seed(&p->random, seed);
  return list_rows(p, task);
}

lrp_status lrp_preamble_create(const lrp_task *task, lrp_preamble **out) {
  lrp_preamble *p = calloc(1, sizeof *p);
  *out = p;
  if (!p) return lrp_fail_memory(sizeof *p, "the shots of a task");
  p->description = lrp_task_description(task->kind);
  if (!p->description) return LRP_ERR_MEM;
  return task->shots.n > 0 ? prepare_draws(p, task) : LRP_OK;
}

void lrp_preamble_destroy(lrp_preamble **preamble) {
  lrp_preamble *p = *preamble;
  if (!p) return;
  p->scratch.data = NULL;
  lrp_task_free(&p->scratch);
  for (int64_t i = 0; i < p->n_rows; i++) free(p->texts[i]);
  free(p->texts);
  free(p->drawn);
  free(p->rows);
  free(p->description);
  free(p);
  *preamble = NULL;
}

/* Indices of the document's shots, in p->drawn: *n of them. */
static lrp_status draw(lrp_preamble *p, const lrp_task *task, const lrp_doc *doc, int64_t *n) {
  const int64_t wanted = task->shots.n + p->one_more;
  const json_t *self = task->data->rows.rows[doc->row];
  lrp_status st = LRP_OK;

  *n = 0;
  if (task->kind->shots == LRP_SHOTS_FIRST) {
    for (int64_t i = 0; i < wanted; i++) p->drawn[i] = i;
  } else {
    st = lrp_random_sample(&p->random, p->n_rows, wanted, p->drawn);
  }
  for (int64_t i = 0; st == LRP_OK && i < wanted && *n < task->shots.n; i++) {
    const json_t *row = task->shots.data->rows.rows[p->rows[p->drawn[i]]];
    if (p->one_more && json_equal(row, self)) continue;
    p->drawn[(*n)++] = p->drawn[i];
  }
  return st;
}

/* What a row reads as a shot. */
static lrp_status make_text(lrp_preamble *p, int64_t index) {
  if (p->texts[index]) return LRP_OK;
  lrp_task *scratch = &p->scratch;
  const lrp_status st = scratch->kind->build(scratch, p->rows[index]);
  if (st == LRP_OK) {
    const lrp_doc *doc = &scratch->docs[0];
    const lrp_request *right = &scratch->requests[doc->first + doc->gold];
    const bool choice = right->continuation != NULL;
    p->texts[index] = lrp_text_format("%s%s%s\n\n", right->context, choice ? "" : " ",
                                      choice ? right->continuation : doc->target);
  }
  lrp_task_clear(scratch);
  return st == LRP_OK && !p->texts[index] ? LRP_ERR_MEM : st;
}

/* Description and the n shots drawn, as one text; freed by the caller. */
static char *join(const lrp_preamble *p, int64_t n) {
  size_t length = strlen(p->description);
  for (int64_t i = 0; i < n; i++) length += strlen(p->texts[p->drawn[i]]);
  char *text = malloc(length + 1);
  if (!text) {
    lrp_fail_memory(length + 1, "the shots of a document");
    return NULL;
  }
  char *end = stpcpy(text, p->description);
  for (int64_t i = 0; i < n; i++) end = stpcpy(end, p->texts[p->drawn[i]]);
  return text;
}

static lrp_status record(const lrp_preamble *p, lrp_doc *doc, int64_t n) {
  if (n == 0) return LRP_OK;
  doc->shots = malloc((size_t)n * sizeof *doc->shots);
  if (!doc->shots)
    return lrp_fail_memory((size_t)n * sizeof *doc->shots, "the shots of a document");
  for (int64_t i = 0; i < n; i++) doc->shots[i] = p->rows[p->drawn[i]];
  doc->n_shots = n;
  return LRP_OK;
}

/* The contexts of doc behind preamble; choices of one question share theirs, which may be long. */
static lrp_status extend(lrp_task *task, const lrp_doc *doc, const char *preamble) {
  char *before = NULL; /* the last request's own context, without the preamble */
  lrp_status st = LRP_OK;
  for (int i = 0; st == LRP_OK && i < doc->n; i++) {
    lrp_request *r = &task->requests[doc->first + i];
    if (!r->context) continue;
    if (before && strcmp(before, r->context) == 0) {
      free(r->context);
      r->context = r[-1].context;
      r->shares_context = true;
      continue;
    }
    char *whole = lrp_text_format("%s%s", preamble, r->context);
    if (!whole) st = LRP_ERR_MEM;
    if (!whole) break;
    free(before);
    before = r->context;
    r->context = whole;
  }
  free(before);
  return st;
}

lrp_status lrp_preamble_apply(lrp_preamble *p, lrp_task *task) {
  lrp_doc *doc = &task->docs[task->n_docs - 1];
  int64_t n = 0;
  lrp_status st = task->shots.n > 0 ? draw(p, task, doc, &n) : LRP_OK;
  for (int64_t i = 0; st == LRP_OK && i < n; i++) st = make_text(p, p->drawn[i]);
  if (st == LRP_OK) st = record(p, doc, n);
  if (st != LRP_OK) return st;
  char *preamble = join(p, n);
  st = preamble ? extend(task, doc, preamble) : LRP_ERR_MEM;
  free(preamble);
  return st;
}
