/* Requests of a task -> token ids; texts -> windows of token ids. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/python_text.h"
#include "pipeline/task_parts.h"

/* Tokenizes the requests of a task one after the other. */
typedef struct {
  const lrp_tokenizer *tok;
  int64_t max_length;
  lrp_tokens whole;      /* owned: context and continuation, or a text */
  int64_t n_context;     /* so many tokens of whole are context */
  lrp_tokens context;    /* owned: the last context */
  const char *last_text; /* borrowed: what context was encoded from; choices share it */
} coder;

/* The token that the model predicts the first one from. */
static int32_t prefix_token(const coder *c) {
  const int32_t bos = lrp_tokenizer_bos(c->tok);
  return bos >= 0 ? bos : lrp_tokenizer_eos(c->tok);
}

static lrp_status prepend(lrp_tokens *tokens, int32_t id) {
  int32_t *ids = lrp_grown(tokens->ids, tokens->count, &tokens->capacity, sizeof *ids, "tokens");
  if (!ids) return LRP_ERR_MEM;
  tokens->ids = ids;
  memmove(ids + 1, ids, (size_t)tokens->count * sizeof *ids);
  ids[0] = id;
  tokens->count++;
  return LRP_OK;
}

/* No context: the prefix token is it. */
static lrp_status encode_alone(coder *c, const lrp_jsonl *data, int64_t row,
                               const char *continuation) {
  const int32_t prefix = prefix_token(c);
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
  free(request->tokens);
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

static lrp_status encode_choices(coder *c, lrp_task *task, const lrp_doc *doc) {
  lrp_status st = LRP_OK;
  for (int r = 0; r < doc->n && st == LRP_OK; r++) {
    st = encode_request(c, &task->data->rows, doc->row, &task->requests[doc->first + r]);
  }
  return st;
}

/* The documents, by all threads: shots make texts long. The first one that fails, or n_docs. */
static int64_t encode_docs(const coder *settings, lrp_task *task) {
  int64_t failed = task->n_docs;
#pragma omp parallel
  {
    coder c = *settings;
#pragma omp for schedule(dynamic, 8)
    for (int64_t i = 0; i < task->n_docs; i++) {
      int64_t before;
#pragma omp atomic read
      before = failed;
      if (i > before || encode_choices(&c, task, &task->docs[i]) == LRP_OK) continue;
#pragma omp critical
      if (i < failed) {
#pragma omp atomic write
        failed = i;
      }
    }
    lrp_tokens_free(&c.context);
    lrp_tokens_free(&c.whole);
  }
  return failed;
}

/* What is wrong is said of the first document, whichever thread was faster. */
static lrp_status encode_requests(coder *c, lrp_task *task) {
  const int64_t failed = encode_docs(c, task);
  lrp_status st = LRP_OK;
  if (failed < task->n_docs) lrp_failure_clear();
  for (int64_t i = failed; i < task->n_docs && st == LRP_OK; i++) {
    st = encode_choices(c, task, &task->docs[i]);
  }
  return st;
}

/* Windows in which every token of whole but the first, a prefix, is predicted once; each has as
 * much context as fits. */
static lrp_status cut_windows(const coder *c, lrp_task *task, lrp_doc *doc) {
  const int64_t total = c->whole.count;
  lrp_status st = LRP_OK;

  for (int64_t done = 1; st == LRP_OK && done < total;) {
    const int64_t left = total - done;
    const int64_t n_score = left < c->max_length ? left : c->max_length;
    const int64_t end = done + n_score;
    const int64_t start = end > c->max_length + 1 ? end - (c->max_length + 1) : 0;
    st = lrp_task_add_window(task, doc, c->whole.ids + start, end - start, n_score);
    done = end;
  }
  return st;
}

static lrp_status encode_text(coder *c, lrp_task *task, lrp_doc *doc) {
  const lrp_jsonl *data = &task->data->rows;
  const int32_t prefix = prefix_token(c);

  if (prefix < 0) {
    return lrp_jsonl_fail(data, doc->row,
                          "the text needs a token in front, but %s has neither "
                          "BOS nor EOS",
                          lrp_tokenizer_file(c->tok));
  }
  c->whole.count = 0;
  lrp_status st = lrp_tokenizer_encode(c->tok, doc->target, strlen(doc->target), true, &c->whole);
  if (st == LRP_OK && c->whole.count == 0) st = lrp_jsonl_fail(data, doc->row, "an empty text");
  if (st == LRP_OK) st = prepend(&c->whole, prefix);
  if (st == LRP_OK) st = cut_windows(c, task, doc);
  return st;
}

static lrp_status encode_texts(coder *c, lrp_task *task) {
  lrp_status st = LRP_OK;
  for (int64_t i = 0; i < task->n_docs && st == LRP_OK; i++) {
    st = encode_text(c, task, &task->docs[i]);
  }
  return st;
}

/* Window i of the stream is a document: all its tokens but the first are scored. */
static lrp_status add_stream_window(const coder *c, lrp_task *task, int64_t i) {
  const int64_t length = c->max_length;
  json_t *shown = json_pack("{s:I, s:I, s:I}", "window", (json_int_t)i, "first_token",
                            (json_int_t)(i * length), "tokens", (json_int_t)length);
  if (!shown) return lrp_fail_memory(0, "a document");
  lrp_status st = lrp_task_add_text(task, 0, "", shown);
  json_decref(shown);
  if (st != LRP_OK) return st;
  return lrp_task_add_window(task, &task->docs[task->n_docs - 1], c->whole.ids + i * length, length,
                             length - 1);
}

static lrp_status encode_stream(coder *c, lrp_task *task, int64_t limit) {
  const lrp_jsonl *data = &task->data->rows;
  char *text = NULL;
  size_t size = 0;
  lrp_status st = lrp_wikitext_join(data, &text, &size);

  if (st == LRP_OK) st = lrp_tokenizer_encode(c->tok, text, size, true, &c->whole);
  free(text);
  if (st != LRP_OK) return st;
  task->available = c->whole.count / c->max_length;
  if (c->max_length < 2 || task->available == 0) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: %" PRId64 " tokens in all, but a window of task %s has %" PRId64
                    " and at least 2; set evaluate.max_length",
                    data->path, c->whole.count, task->kind->name, c->max_length);
  }
  const int64_t n = limit < 0 || limit > task->available ? task->available : limit;
  for (int64_t i = 0; i < n && st == LRP_OK; i++) st = add_stream_window(c, task, i);
  return st;
}

/* The last tokens of a context that leave room for the answer. */
static lrp_status encode_prompt(coder *c, const lrp_task *task, const lrp_doc *doc) {
  const lrp_jsonl *data = &task->data->rows;
  const int64_t most = c->max_length - task->kind->max_new;
  lrp_request *request = &task->requests[doc->first];

  c->whole.count = 0;
  const lrp_status st =
      lrp_tokenizer_encode(c->tok, request->context, strlen(request->context), true, &c->whole);
  if (st != LRP_OK) return st;
  if (c->whole.count == 0) return lrp_jsonl_fail(data, doc->row, "the context has no tokens");
  request->truncated = c->whole.count > most;
  request->n_tokens = request->truncated ? most : c->whole.count;
  const size_t bytes = (size_t)request->n_tokens * sizeof *request->tokens;
  request->tokens = malloc(bytes);
  if (!request->tokens) return lrp_fail_memory(bytes, "the tokens of a request");
  memcpy(request->tokens, c->whole.ids + (c->whole.count - request->n_tokens), bytes);
  return LRP_OK;
}

static lrp_status encode_prompts(coder *c, lrp_task *task) {
  lrp_status st = LRP_OK;
  if (c->max_length <= task->kind->max_new) {
    return lrp_fail(LRP_ERR_JOB,
                    "evaluate.max_length: %" PRId64 ": task %s generates %" PRId64
                    " tokens and needs room for a question in front of them",
                    c->max_length, task->kind->name, task->kind->max_new);
  }
  for (int64_t i = 0; i < task->n_docs && st == LRP_OK; i++) {
    st = encode_prompt(c, task, &task->docs[i]);
  }
  return st;
}

lrp_status lrp_task_encode(lrp_task *task, const lrp_task_source *source) {
  coder c = {.tok = source->tok, .max_length = source->max_length};
  lrp_status st = LRP_OK;

  switch (task->kind->output) {
    case LRP_MULTIPLE_CHOICE:
    case LRP_LOGLIKELIHOOD:
      st = encode_requests(&c, task);
      break;
    case LRP_ROLLING:
      st = encode_texts(&c, task);
      break;
    case LRP_TOKEN_WINDOWS:
      st = encode_stream(&c, task, source->limit);
      break;
    case LRP_GENERATE:
      st = encode_prompts(&c, task);
      break;
    case LRP_CLASSES:
    case LRP_SPANS:
    case LRP_BLANKS:
      break; /* lrp_task_encode_inputs */
  }
  lrp_tokens_free(&c.context);
  lrp_tokens_free(&c.whole);
  return st;
}
