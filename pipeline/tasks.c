#include "pipeline/tasks.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
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
  free(doc->shots);
  free(doc->chars);
  free(doc->bytes);
  free(doc->truth);
  json_decref(doc->shown);
}

void lrp_request_free(lrp_request *request) {
  if (!request->shares_context) free(request->context);
  free(request->continuation);
  free(request->tokens);
  free(request->types);
  free(request->ranges);
}

void lrp_dataset_close(lrp_dataset *data) {
  if (!data || --data->users > 0) return;
  lrp_jsonl_free(&data->rows);
  free(data->file);
  free(data);
}

void lrp_task_clear(lrp_task *task) {
  for (int64_t i = 0; i < task->n_docs; i++) free_doc(&task->docs[i]);
  for (int64_t i = 0; i < task->n_requests; i++) lrp_request_free(&task->requests[i]);
  task->n_docs = 0;
  task->n_requests = 0;
}

void lrp_task_free(lrp_task *task) {
  lrp_task_clear(task);
  free(task->docs);
  free(task->requests);
  lrp_dataset_close(task->shots.data);
  lrp_dataset_close(task->data);
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
  lrp_dataset *read = calloc(1, sizeof *read);
  lrp_status st = path && read ? LRP_OK : lrp_fail_memory(sizeof *read, "a data file");
  if (st == LRP_OK) {
    *read = (lrp_dataset){.file = lrp_text_format("%s", file), .users = 1};
    st = read->file ? lrp_jsonl_read(path, &read->rows) : LRP_ERR_MEM;
  }
  if (st == LRP_OK) {
    *data = read;
  } else {
    lrp_dataset_close(read);
  }
  free(path);
  return st;
}

/* One of the two files of task. */
static lrp_dataset *find_open(const char *file, const lrp_task *task) {
  if (task->data && strcmp(task->data->file, file) == 0) return task->data;
  if (task->shots.data && strcmp(task->shots.data->file, file) == 0) return task->shots.data;
  return NULL;
}

lrp_status lrp_dataset_open(const char *file, const lrp_task_source *source, const lrp_task *loaded,
                            int n_loaded, const lrp_task *out, lrp_dataset **data) {
  *data = find_open(file, out);
  for (int i = 0; i < n_loaded && !*data; i++) *data = find_open(file, &loaded[i]);
  if (!*data) return read_file(file, source, data);
  (*data)->users++;
  return LRP_OK;
}

const char *lrp_dataset_split(const lrp_dataset *data, char split[LRP_SPLIT]) {
  const char *slash = strrchr(data->file, '/');
  const char *name = slash ? slash + 1 : data->file;
  snprintf(split, LRP_SPLIT, "%.*s", (int)strcspn(name, "."), name);
  return split;
}

/* The first file of the task that is there. */
static lrp_status find_data(lrp_task *task, const lrp_task_source *source, const lrp_task *loaded,
                            int n_loaded) {
  const lrp_task_kind *kind = task->kind;
  for (int i = 0; i < 2 && kind->files[i]; i++) {
    const lrp_status st =
        lrp_dataset_open(kind->files[i], source, loaded, n_loaded, task, &task->data);
    if (st != LRP_ERR_ABSENT) return st;
    lrp_failure_clear();
  }
  return fail_absent(kind, source);
}

/* Whether file is in the folder of the subject's own files. */
static bool is_of_subject(const char *file, const lrp_task_kind *kind) {
  const size_t folder = (size_t)(strrchr(kind->files[0], '/') - kind->files[0]) + 1;
  return strncmp(file, kind->files[0], folder) == 0;
}

lrp_status lrp_dataset_is_ours(const lrp_dataset *data, const lrp_task_kind *kind, int64_t row,
                               bool *ours) {
  const char *subject;

  *ours = true;
  if (!kind->by_subject) return LRP_OK;
  if (is_of_subject(data->file, kind) && !json_object_get(data->rows.rows[row], "subject")) {
    return LRP_OK;
  }
  const lrp_status st = lrp_jsonl_text(&data->rows, row, "subject", &subject);
  *ours = st == LRP_OK && strcmp(subject, kind->subset) == 0;
  return st;
}

static lrp_status build_docs(lrp_task *task, lrp_preamble *preamble, int64_t limit) {
  const lrp_jsonl *data = &task->data->rows;
  lrp_status st = LRP_OK;

  for (int64_t row = 0; st == LRP_OK && row < data->count; row++) {
    bool ours;
    st = lrp_dataset_is_ours(task->data, task->kind, row, &ours);
    if (st != LRP_OK || !ours) continue;
    if (limit < 0 || task->available < limit) {
      st = task->kind->build(task, row);
      if (st == LRP_OK) st = lrp_preamble_apply(preamble, task);
    }
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
  lrp_preamble *preamble = NULL;
  *out = (lrp_task){.kind = kind, .max_length = source->max_length};
  lrp_status st = find_data(out, source, loaded, n_loaded);
  if (st == LRP_OK) st = lrp_task_find_shots(out, source, loaded, n_loaded);
  if (st == LRP_OK && kind->build) {
    st = lrp_preamble_create(out, &preamble);
    if (st == LRP_OK) st = build_docs(out, preamble, source->limit);
    lrp_preamble_destroy(&preamble);
  }
  if (st == LRP_OK) {
    st = encoders ? lrp_task_encode_inputs(out, source) : lrp_task_encode(out, source);
  }
  if (st != LRP_OK) lrp_task_free(out);
  return st;
}
