/** @file pipeline/tasks.h
 *  Benchmarks: rows of a data set -> documents and requests, as lm-evaluation-harness forms them.
 */
#ifndef LRP_PIPELINE_TASKS_H
#define LRP_PIPELINE_TASKS_H

#include "io/base/jsonl.h"
#include "io/model/config.h"
#include "io/tokenizer/tokenizer.h"
#include "io/tokenizer/wordpiece.h"
#include "pipeline/squad.h"

typedef struct lrp_task lrp_task;
typedef struct lrp_metrics lrp_metrics; /* of pipeline/metrics.h */

/** What is asked of the model; of causal models by the harness's names. */
typedef enum {
  LRP_MULTIPLE_CHOICE, /* a request per choice */
  LRP_LOGLIKELIHOOD,   /* one request */
  LRP_ROLLING,         /* a document is a text, its requests are the text's windows */
  LRP_TOKEN_WINDOWS,   /* all texts are one stream of tokens, a document is a full window of it */
  LRP_GENERATE,        /* one request, a context that the model continues greedily */
  LRP_CLASSES,         /* encoders: a document is an input, a request the logit of a class */
  LRP_SPANS,           /* encoders: windows of three requests each: an answer's score, and where its
                          characters begin and end */
  LRP_BLANKS           /* encoders: windows of the stream, a request is a token that is masked */
} lrp_output;

/** The requests of a window of LRP_SPANS; first and end are -1 where there is no answer. */
enum { LRP_SPAN_SCORE, LRP_SPAN_FIRST, LRP_SPAN_END, LRP_SPAN_VALUES };

/** Most classes of a task, most strings that end its answers. */
enum { LRP_TASK_LABELS = 4, LRP_TASK_STOPS = 4 };

/** Which solved examples ("shots") stand in front of a question. */
typedef enum {
  LRP_SHOTS_NONE,  /* the task has none, whatever is asked for */
  LRP_SHOTS_FIRST, /* the first rows of the few-shot file, the same for every document */
  LRP_SHOTS_DRAWN  /* drawn anew for every document, as the harness's default sampler does */
} lrp_shot_rule;

/** Several tasks under one name, whose scores are the tasks' weighted by their documents. */
typedef struct lrp_task_group {
  const char *name; /* "mmlu_stem" */
  double version;
  const struct lrp_task_group *parent; /* "mmlu", or NULL */
} lrp_task_group;

/** What a task is, apart from its data. */
typedef struct {
  const char *name;     /* "arc_easy" */
  const char *files[2]; /* below evaluate.data: the first one that is there; [1] may be NULL */
  const char *dataset;  /* Hugging Face path and name for results: "allenai/ai2_arc" */
  const char *subset;   /* "ARC-Easy", or NULL */
  double version;       /* of the task in the harness */
  bool by_subject;      /* only the rows whose column subject is subset */
  lrp_output output;
  const lrp_metrics *metrics;
  const lrp_task_group *group;         /* or NULL */
  const char *texts[2];                /* LRP_CLASSES: fields that are the input; [1] may be NULL */
  const char *labels[LRP_TASK_LABELS]; /* LRP_CLASSES: names of label 0, 1, ...; then NULL */
  int64_t max_length;                  /* of encoders' inputs, unless the job sets it */
  lrp_shot_rule shots;
  int64_t num_fewshot;       /* unless the job sets it */
  const char *fewshot_split; /* the split that has the shots: "dev"; NULL: train, else validation,
                                else the evaluated one */
  const char *stops[LRP_TASK_STOPS]; /* LRP_GENERATE: texts that end an answer; then NULL */
  int64_t max_new;                   /* LRP_GENERATE: most tokens of an answer */
  /** Append the document and requests of row i of the data. NULL: LRP_TOKEN_WINDOWS, LRP_BLANKS. */
  lrp_status (*build)(lrp_task *task, int64_t row);
} lrp_task_kind;

/** log P(last n_score tokens | the tokens before them); of encoders one number of an input. */
typedef struct {
  char *context, *continuation; /* owned; as the harness shows them, before white space moves; NULL
                                   for a window, and the continuation of LRP_GENERATE */
  int32_t *tokens;              /* owned: context + continuation after left truncation; an encoder's
                                   input, or NULL: that of request input */
  int64_t n_tokens, n_score;    /* n_score: tokens of the continuation, the last ones, 0 of
                                   LRP_GENERATE; n_tokens: 0 where the input is computed for
                                   another request, too */
  bool truncated;
  bool shares_context;    /* context is the previous request's, which owns it */
  int64_t input;          /* encoders: index of the request that has the tokens, types and ranges */
  int32_t *types;         /* owned, n_tokens: encoders' token types */
  lrp_char_range *ranges; /* owned, n_tokens: LRP_SPANS: the characters of the context */
  int64_t position;       /* LRP_BLANKS: of the masked token */
  int32_t target; /* LRP_CLASSES: class of the model; LRP_BLANKS: the token under the mask */
} lrp_request;

/** One document: its requests are [first, first + n), one per choice or window. */
typedef struct {
  int64_t row; /* of the data file */
  int64_t first;
  int n;
  int gold;       /* index of the right choice */
  char *target;   /* owned: the harness's doc_to_target as text; the text of LRP_ROLLING */
  int64_t *shots; /* owned, n_shots: rows of the few-shot file, as they stand in front */
  int64_t n_shots;
  int64_t *chars, *bytes; /* owned, n: code points and UTF-8 bytes of each choice, without the
                             delimiter; NULL if there are none */
  bool *truth;            /* owned, n: which choices are true, if more than gold can be; or NULL */
  int64_t words, text_bytes; /* of a text as read */
  int64_t scored_tokens;     /* of all windows */
  json_t *shown;             /* owned reference: the document as the samples file shows it */
} lrp_doc;

/** A data file, shared by the tasks that read it. */
typedef struct {
  char *file; /* owned: below evaluate.data */
  lrp_jsonl rows;
  int users;
} lrp_dataset;

/** Solved examples in front of every context, behind the task's description: of each one its
 *  context, its right answer and an empty line. */
typedef struct {
  int64_t n;         /* of each document; 0: none */
  lrp_dataset *data; /* owned together with its other users: the few-shot file; NULL without */
  const char *split; /* borrowed: the split that was declared, by the job's suite or the task; NULL:
                        found by the files that are there */
} lrp_task_shots;

struct lrp_task {
  const lrp_task_kind *kind;
  lrp_dataset *data;    /* owned together with its other users */
  lrp_task_shots shots; /* in front of its documents */
  int64_t available;    /* documents that there are without a limit */
  lrp_doc *docs;        /* owned; doc_id is the index */
  int64_t n_docs, docs_capacity;
  lrp_request *requests; /* owned */
  int64_t n_requests, requests_capacity;
  int64_t max_length; /* that inputs were cut to */
};

/** Whether it is asked of an encoder with a head, and of no causal model. Local. */
bool lrp_output_is_encoders(lrp_output output);

/** The tasks, n of them; the one called name, or NULL. Local. Defined with the table of tasks in
 *  task_list.c, where a further task is one row and one build function. */
const lrp_task_kind *lrp_task_kinds(int *n);
const lrp_task_kind *lrp_task_find(const char *name);

/** The groups, n of them, each before its members; the one called name, or NULL; whether group is
 *  ancestor or one that ancestor contains. Local. */
const lrp_task_group *lrp_task_groups(int *n);
const lrp_task_group *lrp_task_group_find(const char *name);
bool lrp_task_group_within(const lrp_task_group *group, const lrp_task_group *ancestor);

/** Names of all tasks, groups and suites, for messages, n of them. Local. */
const char *const *lrp_task_names(int *n);

/** Labels of a task of LRP_CLASSES. Local. */
int lrp_task_label_count(const lrp_task_kind *kind);

/** "test" of ai2_arc/ARC-Easy/test.jsonl. Local. @return split */
enum { LRP_SPLIT = 32 };
const char *lrp_dataset_split(const lrp_dataset *data, char split[LRP_SPLIT]);

/** What stands in front of every context, "" if nothing; freed by the caller, NULL (recorded as out
 *  of memory). Local. */
char *lrp_task_description(const lrp_task_kind *kind);

/** What a task is loaded from. All borrowed. */
typedef struct {
  const char *dir;           /* evaluate.data */
  int64_t num_fewshot;       /* shots of each document; 0 of LRP_SHOTS_NONE */
  const char *fewshot_split; /* the split that they are from; NULL: by the task's own rule */
  int64_t limit;             /* first so many documents; -1: all */
  int64_t max_length; /* T: model input length; the last T + 1 tokens of a request are kept. Of
                         encoders: special tokens included; -1: the task's, or the model's if that
                         is less */
  const lrp_tokenizer *tok;    /* of a causal model */
  const lrp_wordpiece *pieces; /* of an encoder */
  const lrp_config *config;    /* of an encoder, which the task fits (pipeline/supported.h) */
} lrp_task_source;

/** Read the data of kind, form documents with their shots and requests, tokenize. Local; the same
 *  on all process ranks: shots are drawn in the order of documents, of all of them. On failure *out
 *  holds nothing.
 *  @param loaded  n_loaded tasks of the same source: a data file that one of them has is shared
 *  @return LRP_OK; LRP_ERR_ABSENT with the file that is expected; LRP_ERR_DATA with file:line (bad
 *          row, gold out of range, empty continuation, continuation longer than T) or if no row is
 *          the task's; LRP_ERR_JOB if T is too small for encoders' inputs, or if there are less
 * rows than shots; LRP_ERR_MEM */
lrp_status lrp_task_load(const lrp_task_kind *kind, const lrp_task_source *source,
                         const lrp_task *loaded, int n_loaded, lrp_task *out);

/** Release everything and zero *task. Local; accepts a zeroed one. */
void lrp_task_free(lrp_task *task);

#endif
