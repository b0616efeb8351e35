/* samples_<task>.jsonl, the second file of pipeline/results.h: a line per document; with filters
 * one per filter and document. */
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "pipeline/python_json.h"
#include "pipeline/python_text.h"
#include "pipeline/results.h"

enum { hex_size = 65 };

static lrp_status sha256_hex(const char *data, size_t size, char hex[hex_size]) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;

  if (EVP_Digest(data, size, digest, &length, EVP_sha256(), NULL) != 1 || length != 32) {
    return lrp_fail(LRP_ERR_MEM, "out of memory: libcrypto's SHA-256 of %zu bytes", size);
  }
  for (unsigned i = 0; i < length; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  return LRP_OK;
}

/* Of json.dumps(doc, indent=2, ensure_ascii=False). */
static lrp_status hash_doc(const json_t *doc, char hex[hex_size]) {
  char *text = NULL;
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  if (!stream) return lrp_fail_memory(BUFSIZ, "text of a document");

  lrp_python_json(stream, doc, 2);
  bool failed = ferror(stream) != 0;
  failed = fclose(stream) != 0 || failed || !text; /* fclose may lose the text and return 0 */
  const lrp_status st =
      failed ? lrp_fail_memory(size, "text of a document") : sha256_hex(text, size, hex);
  free(text);
  return st;
}

static void write_text(FILE *out, const char *text) {
  lrp_python_json_string(out, text, strlen(text));
}

/* What a request asks for: a continuation, or how to generate one. */
static lrp_status write_asked(FILE *out, const lrp_task *task, const lrp_request *request) {
  if (request->continuation) {
    write_text(out, request->continuation);
    return LRP_OK;
  }
  json_t *kwargs = lrp_generation_kwargs(task->kind);
  if (!kwargs) return lrp_fail_memory(0, "a line of samples");
  lrp_python_json(out, kwargs, -1);
  json_decref(kwargs);
  return LRP_OK;
}

/* {"gen_args_0": {"arg_0": context, "arg_1": continuation}, ...}; of a text that is scored as a
 * whole {"gen_args_0": {"arg_0": text}}; nothing of a window of tokens. */
static lrp_status write_arguments(FILE *out, const lrp_task *task, const lrp_doc *doc) {
  const lrp_request *requests = task->requests + doc->first;
  lrp_status st = LRP_OK;
  fputs(", \"arguments\": {", out);
  if (task->kind->output == LRP_ROLLING) {
    fputs("\"gen_args_0\": {\"arg_0\": ", out);
    write_text(out, doc->target);
    putc('}', out);
  }
  for (int i = 0; i < doc->n && requests[i].context; i++) {
    fprintf(out, "%s\"gen_args_%d\": {\"arg_0\": ", i > 0 ? ", " : "", i);
    write_text(out, requests[i].context);
    fputs(", \"arg_1\": ", out);
    st = write_asked(out, task, &requests[i]);
    if (st != LRP_OK) break;
    putc('}', out);
  }
  putc('}', out);
  return st;
}

/* A list per request of [log-likelihood, is greedy], both as strings; resps holds a list of such
 * answers for each request, as there could be repeats. */
static void write_answers(FILE *out, const char *key, const lrp_scores *scores, const lrp_doc *doc,
                          bool nested) {
  fprintf(out, ", \"%s\": [", key);
  for (int i = 0; i < doc->n; i++) {
    const int64_t r = doc->first + i;
    char ll[lrp_repr_max];
    lrp_python_repr(scores->ll[r], ll);
    fprintf(out, "%s%s[\"%s\", \"%s\"]%s", i > 0 ? ", " : "", nested ? "[" : "", ll,
            scores->greedy[r] ? "True" : "False", nested ? "]" : "");
  }
  putc(']', out);
}

/* One answer, the sum over the text's windows. Those are not the harness's: a key of our own. */
static void write_rolling_answer(FILE *out, const lrp_scores *scores, const lrp_doc *doc) {
  char text[lrp_repr_max];
  double sum = 0.0;
  for (int i = 0; i < doc->n; i++) sum += scores->ll[doc->first + i];
  lrp_python_repr(sum, text);
  fprintf(out, ", \"resps\": [[\"%s\"]], \"filtered_resps\": [\"%s\"]", text, text);
  write_answers(out, "windows", scores, doc, false);
}

/* The answer; and of each window its score and the characters in which it found one. */
static lrp_status write_span_answer(FILE *out, const lrp_scores *scores, const lrp_doc *doc) {
  const double *values = scores->ll + doc->first;
  char *answer = lrp_doc_answer(doc, values);
  char score[lrp_repr_max];
  if (!answer) return LRP_ERR_MEM;
  fputs(", \"resps\": [[", out);
  write_text(out, answer);
  fputs("]], \"filtered_resps\": [", out);
  write_text(out, answer);
  fputs("], \"windows\": [", out);
  free(answer);
  for (int w = 0; w < doc->n; w += LRP_SPAN_VALUES) {
    lrp_python_repr(values[w + LRP_SPAN_SCORE], score);
    fprintf(out, "%s[\"%s\", %.0f, %.0f]", w > 0 ? ", " : "", score, values[w + LRP_SPAN_FIRST],
            values[w + LRP_SPAN_END]);
  }
  putc(']', out);
  return LRP_OK;
}

/* What was generated, and what the filter finds in it. */
static lrp_status write_generated(FILE *out, const lrp_scores *scores, const lrp_doc *doc,
                                  const lrp_filter *filter) {
  const char *text = scores->texts[doc->first];
  char *answer = lrp_filter_apply(filter, text);
  if (!answer) return LRP_ERR_MEM;
  fputs(", \"resps\": [[", out);
  write_text(out, text);
  fputs("]], \"filtered_resps\": [", out);
  write_text(out, answer);
  putc(']', out);
  free(answer);
  return LRP_OK;
}

/* The value of a metric for a document: what its aggregation is over. */
static lrp_status write_value(FILE *out, const lrp_scores *scores, const lrp_metric *metric,
                              const lrp_doc *doc) {
  const lrp_value value = lrp_doc_value(scores, metric, doc);
  char text[lrp_repr_max];

  if (isnan(value.x)) return LRP_ERR_MEM;
  lrp_python_repr(value.x, text);
  switch (metric->aggregation) {
    case LRP_MEAN:
    case LRP_PERPLEXITY:
      fputs(text, out);
      break;
    case LRP_WEIGHTED_PERPLEXITY:
    case LRP_BITS_PER_BYTE:
    case LRP_NLL:
      fprintf(out, "[%s, %.0f]", text, value.weight);
      break;
    case LRP_TOTAL:
      fprintf(out, "%.0f", value.weight);
      break;
    case LRP_F1:
    case LRP_MATTHEWS:
    case LRP_ACCURACY_AND_F1:
      fprintf(out, "[%d, %d]", (int)value.x / 2, (int)value.x % 2); /* gold, prediction */
      break;
  }
  return LRP_OK;
}

/* The metrics that see what filter finds. */
static lrp_status write_metrics(FILE *out, const lrp_scores *scores, const lrp_doc *doc,
                                const lrp_filter *filter) {
  const lrp_metrics *metrics = scores->task->kind->metrics;
  const char *comma = "";
  lrp_status st = LRP_OK;

  fprintf(out, ", \"filter\": \"%s\", \"metrics\": [", filter ? filter->name : "none");
  for (int m = 0; m < metrics->n; m++) {
    if (metrics->metric[m].filter != filter) continue;
    fprintf(out, "%s\"%s\"", comma, metrics->metric[m].name);
    comma = ", ";
  }
  putc(']', out);
  for (int m = 0; st == LRP_OK && m < metrics->n; m++) {
    if (metrics->metric[m].filter != filter) continue;
    fprintf(out, ", \"%s\": ", metrics->metric[m].name);
    st = write_value(out, scores, &metrics->metric[m], doc);
  }
  return st;
}

static lrp_status write_hashes(FILE *out, const lrp_doc *doc, const char *prompt) {
  char of_doc[hex_size], of_prompt[hex_size], of_target[hex_size];

  lrp_status st = hash_doc(doc->shown, of_doc);
  if (st == LRP_OK) st = sha256_hex(prompt, strlen(prompt), of_prompt);
  if (st == LRP_OK) st = sha256_hex(doc->target, strlen(doc->target), of_target);
  if (st != LRP_OK) return st;
  fprintf(out, ", \"doc_hash\": \"%s\", \"prompt_hash\": \"%s\", \"target_hash\": \"%s\"", of_doc,
          of_prompt, of_target);
  return LRP_OK;
}

/* What the model is given first. */
static const char *prompt_of(const lrp_task *task, const lrp_doc *doc) {
  const char *context = task->requests[doc->first].context;
  return context ? context : doc->target;
}

static lrp_status write_sample(FILE *out, const lrp_scores *scores, int64_t doc_id,
                               const lrp_filter *filter) {
  const lrp_task *task = scores->task;
  const lrp_doc *doc = &task->docs[doc_id];

  fprintf(out, "{\"doc_id\": %" PRId64 ", \"doc\": ", doc_id);
  lrp_python_json(out, doc->shown, -1);
  fputs(", \"target\": ", out);
  write_text(out, doc->target);
  lrp_status st = write_arguments(out, task, doc);
  if (st != LRP_OK) return st;
  if (task->kind->output == LRP_ROLLING) {
    write_rolling_answer(out, scores, doc);
  } else if (task->kind->output == LRP_SPANS) {
    st = write_span_answer(out, scores, doc);
  } else if (filter) {
    st = write_generated(out, scores, doc, filter);
  } else {
    write_answers(out, "resps", scores, doc, true);
    write_answers(out, "filtered_resps", scores, doc, false);
  }
  if (st == LRP_OK) st = write_metrics(out, scores, doc, filter);
  if (st == LRP_OK) st = write_hashes(out, doc, prompt_of(task, doc));
  fputs("}\n", out);
  return st;
}

static lrp_status write_samples(const char *path, const lrp_scores *scores) {
  const lrp_metrics *metrics = scores->task->kind->metrics;
  lrp_file_writer writer = {0};
  lrp_status st = lrp_file_writer_open(&writer, path);
  if (st != LRP_OK) return st;

  for (int m = 0; m < metrics->n && st == LRP_OK; m++) {
    const lrp_filter *filter = metrics->metric[m].filter;
    if (m > 0 && filter == metrics->metric[m - 1].filter) continue;
    for (int64_t i = 0; i < scores->task->n_docs && st == LRP_OK; i++) {
      st = write_sample(writer.stream, scores, i, filter);
    }
  }
  if (st == LRP_OK) return lrp_file_writer_commit(&writer);
  lrp_file_writer_discard(&writer);
  return st;
}

lrp_status lrp_samples_write(const char *dir, const lrp_scores *scores) {
  char *name = lrp_text_format("samples_%s.jsonl", scores->task->kind->name);
  char *path = name ? lrp_path_join(dir, name) : NULL;
  const lrp_status st = path ? write_samples(path, scores) : LRP_ERR_MEM;
  free(path);
  free(name);
  return st;
}
