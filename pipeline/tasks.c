#include "pipeline/tasks.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "pipeline/python_text.h"
#include "pipeline/task_parts.h"

void *lrp_grown(void *items, int64_t count, int64_t *capacity, size_t item_bytes,
                const char *what) {
  if (count < *capacity) return items;
  const int64_t wanted = *capacity > 0 ? 2 * *capacity : 64;
  void *more = realloc(items, (size_t)wanted * item_bytes);
  if (!more) {
    lrp_fail_memory((size_t)wanted * item_bytes, what);
    return NULL;
  }
  *capacity = wanted;
  return more;
}

static void free_doc(lrp_doc *doc) {
  free(doc->target);
  free(doc->chars);
  free(doc->bytes);
  free(doc->truth);
  json_decref(doc->shown);
}

void lrp_request_free(lrp_request *request) {
  free(request->context);
  free(request->continuation);
  free(request->tokens);
  free(request->types);
  free(request->ranges);
}

static void release(lrp_dataset *data) {
  if (!data || --data->users > 0) return;
  lrp_jsonl_free(&data->rows);
  free(data);
}

void lrp_task_free(lrp_task *task) {
  for (int64_t i = 0; i < task->n_docs; i++) free_doc(&task->docs[i]);
  for (int64_t i = 0; i < task->n_requests; i++) lrp_request_free(&task->requests[i]);
  free(task->docs);
  free(task->requests);
  release(task->data);
  *task = (lrp_task){0};
}

/* Append doc with room for the lengths of n choices; what it owns is made here. */
static lrp_status append_doc(lrp_task *task, lrp_doc *doc, const char *target, size_t n,
                             json_t *shown) {
  lrp_doc *docs =
      lrp_grown(task->docs, task->n_docs, &task->docs_capacity, sizeof *docs, "documents");
  if (!docs) return LRP_ERR_MEM;
  task->docs = docs;

  doc->first = task->n_requests;
  doc->shown = json_incref(shown);
  doc->target = strdup(target);
  if (n > 0) doc->chars = calloc(n, sizeof *doc->chars);
  if (n > 0) doc->bytes = calloc(n, sizeof *doc->bytes);
  if (!doc->target || (n > 0 && (!doc->chars || !doc->bytes))) {
    free_doc(doc);
    return lrp_fail_memory(strlen(target) + 1 + 2 * n * sizeof *doc->chars, "a document");
  }
  task->docs[task->n_docs++] = *doc;
  return LRP_OK;
}

lrp_status lrp_task_add_doc(lrp_task *task, int64_t row, size_t n, int64_t gold, const char *target,
                            json_t *shown) {
  const lrp_jsonl *data = &task->data->rows;
  if (n == 0 || n > INT_MAX) return lrp_jsonl_fail(data, row, "%zu choices", n);
  if (gold < 0 || gold >= (int64_t)n) {
    return lrp_jsonl_fail(data, row, "the right answer is choice %" PRId64 ", expected 0 to %zu",
                          gold, n - 1);
  }
  lrp_doc doc = {.row = row, .n = (int)n, .gold = (int)gold};
  return append_doc(task, &doc, target, n, shown);
}

lrp_status lrp_task_add_text(lrp_task *task, int64_t row, const char *text, json_t *shown) {
  lrp_doc doc = {.row = row};
  return append_doc(task, &doc, text, 0, shown);
}

static lrp_status append_request(lrp_task *task, const lrp_request *request) {
  lrp_request *requests = lrp_grown(task->requests, task->n_requests, &task->requests_capacity,
                                    sizeof *requests, "requests");
  if (!requests) return LRP_ERR_MEM;
  task->requests = requests;
  task->requests[task->n_requests++] = *request;
  return LRP_OK;
}

lrp_status lrp_task_add_request(lrp_task *task, const char *context, const char *choice) {
  assert(task->n_docs > 0);
  lrp_doc *doc = &task->docs[task->n_docs - 1];
  const int64_t c = task->n_requests - doc->first;
  assert(c < doc->n);

  lrp_request request = {.context = strdup(context),
                         .continuation = lrp_text_format(" %s", choice)};
  lrp_status st = request.context && request.continuation
                      ? append_request(task, &request)
                      : lrp_fail_memory(strlen(context) + strlen(choice) + 3, "a request");
  if (st != LRP_OK) {
    lrp_request_free(&request);
    return st;
  }
  doc->chars[c] = lrp_text_code_points(choice);
  doc->bytes[c] = (int64_t)strlen(choice);
  return LRP_OK;
}

lrp_status lrp_task_append(lrp_task *task, lrp_doc *doc, lrp_request *request) {
  const lrp_status st = append_request(task, request);
  if (st != LRP_OK) {
    lrp_request_free(request);
    return st;
  }
  if (doc->n == 0) doc->first = task->n_requests - 1;
  assert(doc->first + doc->n == task->n_requests - 1 && doc->n < INT_MAX);
  doc->n++;
  return LRP_OK;
}

lrp_status lrp_task_add_window(lrp_task *task, lrp_doc *doc, const int32_t *tokens,
                               int64_t n_tokens, int64_t n_score) {
  const size_t bytes = (size_t)n_tokens * sizeof *tokens;
  lrp_request request = {.tokens = malloc(bytes), .n_tokens = n_tokens, .n_score = n_score};
  if (!request.tokens) return lrp_fail_memory(bytes, "the tokens of a window");
  memcpy(request.tokens, tokens, bytes);
  const lrp_status st = lrp_task_append(task, doc, &request);
  if (st == LRP_OK) doc->scored_tokens += n_score;
  return st;
}

/* "evaluate.data: task x expects <dir>/<file>", or one of two. */
static lrp_status fail_absent(const lrp_task_kind *kind, const lrp_task_source *source) {
  char *first = lrp_path_join(source->dir, kind->files[0]);
  char *second = kind->files[1] ? lrp_path_join(source->dir, kind->files[1]) : NULL;
  lrp_status st = LRP_ERR_MEM;
  if (first && (second || !kind->files[1])) {
    st = lrp_fail(LRP_ERR_ABSENT, "evaluate.data: task %s expects %s%s%s", kind->name, first,
                  second ? " or " : "", second ? second : "");
  }
  free(second);
  free(first);
  return st;
}

static lrp_status read_file(const char *file, const lrp_task_source *source, lrp_dataset **data) {
  char *path = lrp_path_join(source->dir, file);
  *data = calloc(1, sizeof **data);
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;
  if (!*data) st = lrp_fail_memory(sizeof **data, "a data file");
  if (st == LRP_OK) st = lrp_jsonl_read(path, &(*data)->rows);
  if (st == LRP_OK) {
    (*data)->file = file;
    (*data)->users = 1;
  } else {
    free(*data);
    *data = NULL;
  }
  free(path);
  return st;
}

static lrp_dataset *find_loaded(const char *file, const lrp_task *loaded, int n_loaded) {
  for (int i = 0; i < n_loaded; i++) {
    if (strcmp(loaded[i].data->file, file) == 0) return loaded[i].data;
  }
  return NULL;
}

/* The first file of kind that is there. */
static lrp_status find_data(const lrp_task_kind *kind, const lrp_task_source *source,
                            const lrp_task *loaded, int n_loaded, lrp_dataset **data) {
  for (int i = 0; i < 2 && kind->files[i]; i++) {
    *data = find_loaded(kind->files[i], loaded, n_loaded);
    if (*data) {
      (*data)->users++;
      return LRP_OK;
    }
    const lrp_status st = read_file(kind->files[i], source, data);
    if (st != LRP_ERR_ABSENT) return st;
    lrp_failure_clear();
  }
  return fail_absent(kind, source);
}

/* Whether a row is the task's. A file for this subject alone may lack the column. */
static lrp_status is_ours(const lrp_task *task, int64_t row, bool *ours) {
  const lrp_task_kind *kind = task->kind;
  const lrp_jsonl *data = &task->data->rows;
  const char *subject;

  *ours = true;
  if (!kind->by_subject) return LRP_OK;
  if (task->data->file == kind->files[0] && !json_object_get(data->rows[row], "subject")) {
    return LRP_OK;
  }
  const lrp_status st = lrp_jsonl_text(data, row, "subject", &subject);
  *ours = st == LRP_OK && strcmp(subject, kind->subset) == 0;
  return st;
}

static lrp_status build_docs(lrp_task *task, int64_t limit) {
  const lrp_jsonl *data = &task->data->rows;
  lrp_status st = LRP_OK;

  if (!task->kind->build) return LRP_OK;
  for (int64_t row = 0; st == LRP_OK && row < data->count; row++) {
    bool ours;
    st = is_ours(task, row, &ours);
    if (st != LRP_OK || !ours) continue;
    if (limit < 0 || task->available < limit) st = task->kind->build(task, row);
    task->available++;
  }
  if (st == LRP_OK && task->available == 0) {
    st = lrp_fail(LRP_ERR_DATA,
                  "%s: no row has the subject %s, which task %s expects; add its rows, or the file "
                  "%s beside it",
                  data->path, task->kind->subset, task->kind->name, task->kind->files[0]);
  }
  return st;
}

bool lrp_output_is_encoders(lrp_output output) {
  return output == LRP_CLASSES || output == LRP_SPANS || output == LRP_BLANKS;
}

lrp_status lrp_task_load(const lrp_task_kind *kind, const lrp_task_source *source,
                         const lrp_task *loaded, int n_loaded, lrp_task *out) {
  const bool encoders = lrp_output_is_encoders(kind->output);
  *out = (lrp_task){.kind = kind, .max_length = source->max_length};
  lrp_status st = find_data(kind, source, loaded, n_loaded, &out->data);
  if (st == LRP_OK) st = build_docs(out, source->limit);
  if (st == LRP_OK) {
    st = encoders ? lrp_task_encode_inputs(out, source) : lrp_task_encode(out, source);
  }
  if (st != LRP_OK) lrp_task_free(out);
  return st;
}
