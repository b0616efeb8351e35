/* Tasks of encoders: classes of texts, answers in a context, masked tokens of a text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pipeline/python_text.h"
#include "pipeline/task_parts.h"

/* Windows of a SQuAD context share so many tokens. */
enum { squad_stride = 128 };

/* ---- documents ---- */

/* The texts are read when they are encoded. */
lrp_status lrp_build_classes(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data->rows;
  const int n = lrp_task_label_count(task->kind);
  int64_t label = 0;
  char target[24];

  lrp_status st = lrp_jsonl_integer(data, row, "label", &label);
  if (st == LRP_OK && (label < 0 || label >= n)) {
    st = lrp_jsonl_fail(data, row, "field label: expected 0 to %d, got %" PRId64 "%s", n - 1, label,
                        label == -1 ? "; test files have no labels, use those of validation" : "");
  }
  if (st != LRP_OK) return st;
  snprintf(target, sizeof target, "%" PRId64, label);
  st = lrp_task_add_text(task, row, target, data->rows[row]);
  if (st == LRP_OK) task->docs[task->n_docs - 1].gold = (int)label;
  return st;
}

lrp_status lrp_build_squad(lrp_task *task, int64_t row) {
  const lrp_jsonl *data = &task->data->rows;
  const char *text;
  json_t *answers;

  lrp_status st = lrp_jsonl_text(data, row, "question", &text);
  if (st == LRP_OK) st = lrp_jsonl_text(data, row, "context", &text);
  if (st == LRP_OK) st = lrp_task_texts(data, row, "answers.text", &answers);
  if (st == LRP_OK && json_array_size(answers) == 0) {
    st = lrp_jsonl_fail(data, row, "field answers.text: no answer; expected SQuAD version 1.1");
  }
  if (st != LRP_OK) return st;
  return lrp_task_add_text(task, row, json_string_value(json_array_get(answers, 0)),
                           data->rows[row]);
}

/* ---- inputs ---- */

/* Makes the inputs of a task one after the other. */
typedef struct {
  const lrp_wordpiece *tok;
  int64_t max_length;
  lrp_wordpieces a, b, whole; /* owned: the texts, and the input */
} builder;

static lrp_status encode(const builder *b, const char *text, size_t skip, lrp_wordpieces *out) {
  return lrp_wordpiece_encode(b->tok, text + skip, strlen(text + skip), out);
}

/* Copy the input into a request that is the next one to append. */
static lrp_status take_input(const lrp_task *task, const lrp_wordpieces *whole,
                             lrp_request *request) {
  const size_t n = (size_t)whole->count;
  request->tokens = malloc((n + 1) * sizeof *request->tokens);
  request->types = malloc((n + 1) * sizeof *request->types);
  if (!request->tokens || !request->types) {
    return lrp_fail_memory(n * sizeof *request->tokens, "the tokens of a request");
  }
  for (size_t i = 0; i < n; i++) {
    request->tokens[i] = whole->tokens[i].id;
    request->types[i] = whole->tokens[i].type;
  }
  request->n_tokens = whole->count;
  request->input = task->n_requests;
  return LRP_OK;
}

/* Texts for people. pair may be NULL. */
static lrp_status show(lrp_request *request, const char *text, const char *pair,
                       const char *answer) {
  request->context = lrp_text_format("%s%s%s", text, pair ? " [SEP] " : "", pair ? pair : "");
  request->continuation = lrp_text_format("%s", answer);
  return request->context && request->continuation ? LRP_OK : LRP_ERR_MEM;
}

/* Append *request if st is LRP_OK; else release it. */
static lrp_status append(lrp_task *task, lrp_doc *doc, lrp_request *request, lrp_status st) {
  if (st == LRP_OK) return lrp_task_append(task, doc, request);
  lrp_request_free(request);
  return st;
}

/* ---- classes ---- */

/* The model's class for each label. A checkpoint may have the task's labels in another order: then
 * its own names say which is which. Other names say nothing. */
static void match_labels(const lrp_task_kind *kind, const lrp_config *config,
                         int32_t class_of[LRP_TASK_LABELS]) {
  const int n = lrp_task_label_count(kind);
  int found = 0;
  for (int l = 0; l < n; l++) {
    for (int32_t c = 0; c < n; c++) {
      if (strcasecmp(kind->labels[l], config->labels[c]) != 0) continue;
      class_of[l] = c;
      found++;
      break;
    }
  }
  for (int32_t l = 0; found < n && l < n; l++) class_of[l] = l;
}

/* The texts of doc as its input; text[1] stays NULL if there is one. */
static lrp_status encode_texts(builder *b, const lrp_task *task, const lrp_doc *doc,
                               const char *text[2], bool *truncated) {
  const lrp_jsonl *data = &task->data->rows;
  const bool pair = task->kind->texts[1];
  lrp_status st = lrp_jsonl_text(data, doc->row, task->kind->texts[0], &text[0]);
  if (st == LRP_OK && pair) st = lrp_jsonl_text(data, doc->row, task->kind->texts[1], &text[1]);
  if (st == LRP_OK) st = encode(b, text[0], 0, &b->a);
  if (st == LRP_OK && pair) st = encode(b, text[1], 0, &b->b);
  if (st == LRP_OK) {
    st = lrp_wordpiece_input(b->tok, &b->a, pair ? &b->b : NULL, b->max_length, &b->whole);
  }
  const int64_t wanted =
      b->a.count + (pair ? b->b.count : 0) + lrp_wordpiece_specials(b->tok, pair);
  *truncated = b->whole.count < wanted;
  return st;
}

/* A request per label. */
static lrp_status add_classes(builder *b, lrp_task *task, lrp_doc *doc, const int32_t *class_of) {
  const char *text[2] = {NULL, NULL};
  const int n = lrp_task_label_count(task->kind);
  const int64_t input = task->n_requests;
  bool truncated;
  lrp_status st = encode_texts(b, task, doc, text, &truncated);

  for (int l = 0; st == LRP_OK && l < n; l++) {
    lrp_request request = {.input = input, .target = class_of[l]};
    if (l == 0) {
      st = take_input(task, &b->whole, &request);
      request.truncated = truncated;
    }
    if (st == LRP_OK) st = show(&request, text[0], text[1], task->kind->labels[l]);
    st = append(task, doc, &request, st);
  }
  return st;
}

static lrp_status encode_classes(builder *b, lrp_task *task, const lrp_config *config) {
  int32_t class_of[LRP_TASK_LABELS] = {0};
  lrp_status st = LRP_OK;
  match_labels(task->kind, config, class_of);
  for (int64_t i = 0; st == LRP_OK && i < task->n_docs; i++) {
    st = add_classes(b, task, &task->docs[i], class_of);
  }
  return st;
}

/* ---- answers ---- */

/* The characters of the context that each token of the input covers. */
static lrp_status take_ranges(const lrp_wordpieces *whole, lrp_request *request) {
  const size_t n = (size_t)whole->count;
  request->ranges = malloc((n + 1) * sizeof *request->ranges);
  if (!request->ranges) {
    return lrp_fail_memory(n * sizeof *request->ranges, "the places of tokens");
  }
  for (size_t i = 0; i < n; i++) {
    const lrp_wordpiece_token *t = &whole->tokens[i];
    request->ranges[i] =
        t->text == 1 ? (lrp_char_range){t->start, t->end} : (lrp_char_range){-1, -1};
  }
  return LRP_OK;
}

/* A window: its score, and where the answer begins and ends. */
static lrp_status add_window(builder *b, lrp_task *task, lrp_doc *doc, const char *question,
                             const char *context) {
  lrp_request request = {0};
  lrp_status st = take_input(task, &b->whole, &request);
  const int64_t input = task->n_requests;
  if (st == LRP_OK) st = take_ranges(&b->whole, &request);
  if (st == LRP_OK && doc->n == 0) st = show(&request, question, NULL, context);
  st = append(task, doc, &request, st);
  for (int i = 1; st == LRP_OK && i < LRP_SPAN_VALUES; i++) {
    lrp_request value = {.input = input};
    st = append(task, doc, &value, LRP_OK);
  }
  return st;
}

static lrp_status add_windows(builder *b, lrp_task *task, lrp_doc *doc) {
  const lrp_jsonl *data = &task->data->rows;
  const char *question = NULL, *context = NULL;
  bool more = true;

  lrp_status st = lrp_jsonl_text(data, doc->row, "question", &question);
  if (st == LRP_OK) st = lrp_jsonl_text(data, doc->row, "context", &context);
  if (st == LRP_OK) st = encode(b, question, lrp_text_lstrip(question, strlen(question)), &b->a);
  if (st == LRP_OK) st = encode(b, context, 0, &b->b);
  if (st != LRP_OK) return st;
  const int64_t room = b->max_length - b->a.count - lrp_wordpiece_specials(b->tok, true);
  if (b->b.count > room && room <= squad_stride) {
    return lrp_jsonl_fail(data, doc->row,
                          "the question has %" PRId64 " tokens, inputs have %" PRId64
                          ", which leaves no more for the context than the %d that windows share; "
                          "raise evaluate.max_length",
                          b->a.count, b->max_length, squad_stride);
  }
  for (int64_t w = 0; st == LRP_OK && more; w++) {
    st = lrp_wordpiece_window(b->tok, &b->a, &b->b, b->max_length, squad_stride, w, &b->whole,
                              &more);
    if (st == LRP_OK) st = add_window(b, task, doc, question, context);
  }
  return st;
}

/* ---- masked tokens ---- */

/* Window i of the stream: its tokens are masked one by one. */
static lrp_status add_blanks(builder *b, lrp_task *task, lrp_doc *doc) {
  const int64_t input = task->n_requests, n = b->whole.count;
  lrp_status st = LRP_OK;
  for (int64_t i = 0; st == LRP_OK && i < n; i++) {
    if (b->whole.tokens[i].text < 0) continue; /* special */
    lrp_request request = {
        .input = input, .n_tokens = n, .position = i, .target = b->whole.tokens[i].id};
    if (doc->n == 0) st = take_input(task, &b->whole, &request);
    st = append(task, doc, &request, st);
  }
  doc->scored_tokens = doc->n;
  return st;
}

static lrp_status add_stream_window(builder *b, lrp_task *task, int64_t i, int64_t length) {
  lrp_wordpieces part = {.tokens = b->a.tokens + i * length, .count = length, .capacity = length};
  json_t *shown = json_pack("{s:I, s:I, s:I}", "window", (json_int_t)i, "first_token",
                            (json_int_t)(i * length), "tokens", (json_int_t)length);
  if (!shown) return lrp_fail_memory(0, "a document");
  lrp_status st = lrp_task_add_text(task, 0, "", shown);
  json_decref(shown);
  if (st == LRP_OK) st = lrp_wordpiece_input(b->tok, &part, NULL, 0, &b->whole);
  if (st == LRP_OK) st = add_blanks(b, task, &task->docs[task->n_docs - 1]);
  return st;
}

static lrp_status encode_stream(builder *b, lrp_task *task, int64_t limit) {
  const lrp_jsonl *data = &task->data->rows;
  const int64_t length = b->max_length - lrp_wordpiece_specials(b->tok, false);
  char *text = NULL;
  size_t size = 0;
  lrp_status st = LRP_OK;

  if (lrp_wordpiece_mask(b->tok) < 0) {
    return lrp_fail(LRP_ERR_DATA, "%s: there is no token [MASK], which task %s needs",
                    lrp_wordpiece_file(b->tok), task->kind->name);
  }
  st = lrp_wikitext_join(data, &text, &size);
  if (st == LRP_OK) st = lrp_wordpiece_encode(b->tok, text, size, &b->a);
  free(text);
  if (st != LRP_OK) return st;
  task->available = b->a.count / length;
  if (task->available == 0) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: %" PRId64 " tokens in all, but a window of task %s has %" PRId64
                    "; set evaluate.max_length",
                    data->path, b->a.count, task->kind->name, length);
  }
  const int64_t n = limit < 0 || limit > task->available ? task->available : limit;
  for (int64_t i = 0; i < n && st == LRP_OK; i++) st = add_stream_window(b, task, i, length);
  return st;
}

/* ---- all ---- */

static lrp_status encode_spans(builder *b, lrp_task *task) {
  lrp_status st = LRP_OK;
  for (int64_t i = 0; st == LRP_OK && i < task->n_docs; i++) {
    st = add_windows(b, task, &task->docs[i]);
  }
  return st;
}

lrp_status lrp_task_encode_inputs(lrp_task *task, const lrp_task_source *source) {
  const int64_t positions = lrp_config_positions(source->config);
  const int64_t own = task->kind->max_length;
  builder b = {.tok = source->pieces, .max_length = source->max_length};
  const int64_t shortest = lrp_wordpiece_specials(source->pieces, true) + 1;
  lrp_status st = LRP_OK;

  if (b.max_length < 0) b.max_length = own < positions ? own : positions;
  task->max_length = b.max_length;
  if (b.max_length > positions || b.max_length < shortest) {
    return lrp_fail(LRP_ERR_JOB,
                    "evaluate.max_length: %" PRId64 ": task %s needs inputs of %" PRId64
                    " tokens at least, and the model has %" PRId64 " positions",
                    b.max_length, task->kind->name, shortest, positions);
  }
  if (task->kind->output == LRP_CLASSES) st = encode_classes(&b, task, source->config);
  if (task->kind->output == LRP_SPANS) st = encode_spans(&b, task);
  if (task->kind->output == LRP_BLANKS) st = encode_stream(&b, task, source->limit);
  lrp_wordpieces_free(&b.whole);
  lrp_wordpieces_free(&b.b);
  lrp_wordpieces_free(&b.a);
  return st;
}
