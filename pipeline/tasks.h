/** @file pipeline/tasks.h
 *  Benchmarks: rows of a data set -> documents and requests, as lm-evaluation-harness forms them.
 */
#ifndef LRP_PIPELINE_TASKS_H
#define LRP_PIPELINE_TASKS_H

#include "io/base/jsonl.h"
#include "io/tokenizer/tokenizer.h"

typedef struct lrp_task lrp_task;

/** What a task is, apart from its data. */
typedef struct {
  const char *name;    /* "arc_easy" */
  const char *file;    /* below evaluate.data: "ai2_arc/ARC-Easy/test.jsonl" */
  const char *dataset; /* Hugging Face path and name for results: "allenai/ai2_arc" */
  const char *subset;  /* "ARC-Easy", or NULL */
  const char *split;   /* "test" */
  double version;      /* of the task in the harness */
  bool has_norm;       /* acc_norm and acc_bytes besides acc */
  /** Append the documents and requests of row i of task->data. */
  lrp_status (*build)(lrp_task *task, int64_t row);
} lrp_task_kind;

/** log P(continuation | context). */
typedef struct {
  char *context, *continuation; /* owned; as the harness shows them, before white space moves */
  int32_t *tokens;              /* owned: context + continuation after left truncation */
  int64_t n_tokens, n_score;    /* n_score: tokens of the continuation, the last ones */
  bool truncated;
} lrp_request;

/** One document: its choices are the requests [first, first + n). */
typedef struct {
  int64_t row; /* of the data file: doc_id */
  int64_t first;
  int n;
  int gold;       /* index of the right choice */
  char *target;   /* owned: the harness's doc_to_target as text */
  int64_t *chars; /* owned, n: code points of each choice, without the delimiter */
  int64_t *bytes; /* owned, n: UTF-8 bytes of each choice */
  json_t *shown;  /* owned reference: the document as the samples file shows it */
} lrp_doc;

struct lrp_task {
  const lrp_task_kind *kind;
  lrp_jsonl data;
  lrp_doc *docs; /* owned */
  int64_t n_docs, docs_capacity;
  lrp_request *requests; /* owned */
  int64_t n_requests, requests_capacity;
};

/** The task called name, or NULL; all names for messages (n of them). Local. Defined with the table
 *  of tasks in task_list.c, where a further task is one row and one build function. */
const lrp_task_kind *lrp_task_find(const char *name);
const char *const *lrp_task_names(int *n);

/** Read the data of kind below data_dir, form documents and requests, tokenize. Local. On failure
 *  *out holds nothing.
 *  @param limit       first so many documents; -1: all
 *  @param max_length  T: model input length; the last T + 1 tokens of a request are kept
 *  @return LRP_OK; LRP_ERR_ABSENT with the file that is expected; LRP_ERR_DATA with file:line (bad
 *          row, gold out of range, empty continuation, continuation longer than T); LRP_ERR_MEM */
lrp_status lrp_task_load(const lrp_task_kind *kind, const char *data_dir, int64_t limit,
                         int64_t max_length, const lrp_tokenizer *tok, lrp_task *out);

/** Release everything and zero *task. Local; accepts a zeroed one. */
void lrp_task_free(lrp_task *task);

/** For build functions: append a document of n choices to task. Local.
 *  @param row     of task->data
 *  @param gold    index of the right choice
 *  @param target  the harness's doc_to_target as text; copied
 *  @param shown   the document as the samples file shows it; a reference is taken
 *  @return LRP_OK; LRP_ERR_DATA with file:line if there is no choice or gold is none; LRP_ERR_MEM
 */
lrp_status lrp_task_add_doc(lrp_task *task, int64_t row, size_t n, int64_t gold, const char *target,
                            json_t *shown);

/** For build functions: append the next request of the last document, log P(" " + choice |
 *  context). Local. Both are copied; the document's chars and bytes are those of choice. Called n
 *  times after each lrp_task_add_doc. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_task_add_request(lrp_task *task, const char *context, const char *choice);

#endif
