#include "pipeline/tasks.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "pipeline/python_text.h"

/* items with room for one more, or NULL (items stay as they are). */
static void *grown(void *items, int64_t count, int64_t *capacity, size_t item_bytes,
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
  json_decref(doc->shown);
}

static void free_request(lrp_request *request) {
  free(request->context);
  free(request->continuation);
  free(request->tokens);
}

void lrp_task_free(lrp_task *task) {
  for (int64_t i = 0; i < task->n_docs; i++) free_doc(&task->docs[i]);
  for (int64_t i = 0; i < task->n_requests; i++) free_request(&task->requests[i]);
  free(task->docs);
  free(task->requests);
  lrp_jsonl_free(&task->data);
  *task = (lrp_task){0};
}

lrp_status lrp_task_add_doc(lrp_task *task, int64_t row, size_t n, int64_t gold, const char *target,
                            json_t *shown) {
  if (n == 0 || n > INT_MAX) return lrp_jsonl_fail(&task->data, row, "%zu choices", n);
  if (gold < 0 || gold >= (int64_t)n) {
    return lrp_jsonl_fail(&task->data, row,
                          "the right answer is choice %" PRId64 ", expected 0 to %zu", gold, n - 1);
  }
  lrp_doc *docs = grown(task->docs, task->n_docs, &task->docs_capacity, sizeof *docs, "documents");
  if (!docs) return LRP_ERR_MEM;
  task->docs = docs;

  lrp_doc doc = {.row = row, .first = task->n_requests, .n = (int)n, .gold = (int)gold};
  doc.target = strdup(target);
  doc.chars = calloc(n, sizeof *doc.chars);
  doc.bytes = calloc(n, sizeof *doc.bytes);
  doc.shown = json_incref(shown);
  if (!doc.target || !doc.chars || !doc.bytes) {
    free_doc(&doc);
    return lrp_fail_memory(strlen(target) + 1 + 2 * n * sizeof *doc.chars, "a document");
  }
  task->docs[task->n_docs++] = doc;
  return LRP_OK;
}

lrp_status lrp_task_add_request(lrp_task *task, const char *context, const char *choice) {
  assert(task->n_docs > 0);
  lrp_doc *doc = &task->docs[task->n_docs - 1];
  const int64_t c = task->n_requests - doc->first;
  assert(c < doc->n);

  lrp_request *requests = grown(task->requests, task->n_requests, &task->requests_capacity,
                                sizeof *requests, "requests");
  if (!requests) return LRP_ERR_MEM;
  task->requests = requests;

  lrp_request request = {.context = strdup(context),
                         .continuation = lrp_text_format(" %s", choice)};
  if (!request.context || !request.continuation) {
    free_request(&request);
    return lrp_fail_memory(strlen(context) + strlen(choice) + 3, "a request");
  }
  doc->chars[c] = lrp_text_code_points(choice);
  doc->bytes[c] = (int64_t)strlen(choice);
  task->requests[task->n_requests++] = request;
  return LRP_OK;
}

/* Tokenizes the requests of a task one after the other. */
typedef struct {
  const lrp_tokenizer *tok;
  int64_t max_length;
  lrp_tokens whole;      /* owned: context and continuation */
  int64_t n_context;     /* so many tokens of whole are context */
  lrp_tokens context;    /* owned: the last context */
  const char *last_text; /* borrowed: what context was encoded from; choices share it */
} coder;

static lrp_status prepend(lrp_tokens *tokens, int32_t id) {
  int32_t *ids = grown(tokens->ids, tokens->count, &tokens->capacity, sizeof *ids, "tokens");
  if (!ids) return LRP_ERR_MEM;
  tokens->ids = ids;
  memmove(ids + 1, ids, (size_t)tokens->count * sizeof *ids);
  ids[0] = id;
  tokens->count++;
  return LRP_OK;
}

/* No context: a token is needed in front that the model predicts the first one from. */
static lrp_status encode_alone(coder *c, const lrp_jsonl *data, int64_t row,
                               const char *continuation) {
  const int32_t bos = lrp_tokenizer_bos(c->tok);
  const int32_t prefix = bos >= 0 ? bos : lrp_tokenizer_eos(c->tok);
  if (prefix < 0) {
    return lrp_jsonl_fail(data, row, "the context is empty and %s has neither BOS nor EOS",
                          lrp_tokenizer_file(c->tok));
  }
  lrp_status st =
      lrp_tokenizer_encode(c->tok, continuation, strlen(continuation), false, &c->whole);
  c->n_context = 1;
  if (st != LRP_OK || (c->whole.count > 0 && c->whole.ids[0] == prefix)) return st;
  return prepend(&c->whole, prefix);
}

/* White space at the end of the context counts as continuation. */
static lrp_status encode_context(coder *c, const char *context) {
  if (c->last_text && strcmp(c->last_text, context) == 0) return LRP_OK;
  c->context.count = 0;
  c->last_text = NULL;
  const lrp_status st = lrp_tokenizer_encode(
      c->tok, context, lrp_text_rstrip(context, strlen(context)), true, &c->context);
  if (st == LRP_OK) c->last_text = context;
  return st;
}

/* Both texts with special tokens. The continuation is what follows as many tokens as the context
 * has, even if tokens merged across the boundary; the context keeps its own tokens. */
static lrp_status encode_pair(coder *c, const char *context, const char *continuation) {
  lrp_status st = encode_context(c, context);
  if (st != LRP_OK) return st;
  char *text = lrp_text_format("%s%s", context, continuation);
  if (!text) return LRP_ERR_MEM;
  st = lrp_tokenizer_encode(c->tok, text, strlen(text), true, &c->whole);
  free(text);
  c->n_context = c->context.count;
  if (st == LRP_OK && c->n_context > 0 && c->n_context < c->whole.count) {
    memcpy(c->whole.ids, c->context.ids, (size_t)c->n_context * sizeof *c->context.ids);
  }
  return st;
}

static lrp_status check_lengths(const coder *c, const lrp_jsonl *data, int64_t row,
                                const char *continuation) {
  const int64_t n_score = c->whole.count - c->n_context;
  if (c->n_context < 1) return lrp_jsonl_fail(data, row, "the context has no tokens");
  if (n_score < 1) {
    return lrp_jsonl_fail(data, row, "the continuation \"%.80s\" has no tokens", continuation);
  }
  if (n_score > c->max_length) {
    return lrp_jsonl_fail(data, row,
                          "the continuation has %" PRId64
                          " tokens, the model's input at most %" PRId64
                          "; raise evaluate.max_length",
                          n_score, c->max_length);
  }
  return LRP_OK;
}

/* The request's tokens: the last max_length + 1 of whole, as the last one is no input. */
static lrp_status keep_tokens(const coder *c, lrp_request *request) {
  const int64_t total = c->whole.count;
  request->truncated = total - 1 > c->max_length;
  request->n_tokens = request->truncated ? c->max_length + 1 : total;
  request->n_score = total - c->n_context;
  const size_t bytes = (size_t)request->n_tokens * sizeof *request->tokens;
  request->tokens = malloc(bytes);
  if (!request->tokens) return lrp_fail_memory(bytes, "the tokens of a request");
  memcpy(request->tokens, c->whole.ids + (total - request->n_tokens), bytes);
  return LRP_OK;
}

static lrp_status encode_request(coder *c, const lrp_jsonl *data, int64_t row,
                                 lrp_request *request) {
  c->whole.count = 0;
  lrp_status st = request->context[0] == '\0'
                      ? encode_alone(c, data, row, request->continuation)
                      : encode_pair(c, request->context, request->continuation);
  if (st == LRP_OK) st = check_lengths(c, data, row, request->continuation);
  if (st == LRP_OK) st = keep_tokens(c, request);
  return st;
}

static lrp_status encode_all(lrp_task *task, int64_t max_length, const lrp_tokenizer *tok) {
  coder c = {.tok = tok, .max_length = max_length};
  lrp_status st = LRP_OK;

  for (int64_t i = 0; i < task->n_docs && st == LRP_OK; i++) {
    const lrp_doc *doc = &task->docs[i];
    for (int r = 0; r < doc->n && st == LRP_OK; r++) {
      st = encode_request(&c, &task->data, doc->row, &task->requests[doc->first + r]);
    }
  }
  lrp_tokens_free(&c.context);
  lrp_tokens_free(&c.whole);
  return st;
}

/* The file of a task: an absent one is named with the place where it belongs. */
static lrp_status read_data(const lrp_task_kind *kind, const char *data_dir, lrp_jsonl *data) {
  char *path = lrp_path_join(data_dir, kind->file);
  if (!path) return LRP_ERR_MEM;
  lrp_status st = lrp_jsonl_read(path, data);
  if (st == LRP_ERR_ABSENT) {
    lrp_failure_clear();
    lrp_fail(st, "evaluate.data: task %s expects %s", kind->name, path);
  }
  free(path);
  return st;
}

lrp_status lrp_task_load(const lrp_task_kind *kind, const char *data_dir, int64_t limit,
                         int64_t max_length, const lrp_tokenizer *tok, lrp_task *out) {
  *out = (lrp_task){.kind = kind};
  lrp_status st = read_data(kind, data_dir, &out->data);
  const int64_t rows = limit < 0 || limit > out->data.count ? out->data.count : limit;

  for (int64_t i = 0; i < rows && st == LRP_OK; i++) st = kind->build(out, i);
  if (st == LRP_OK) st = encode_all(out, max_length, tok);
  if (st != LRP_OK) lrp_task_free(out);
  return st;
}
