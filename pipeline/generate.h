/** @file pipeline/generate.h
 *  Greedy continuations of prompts, with kept keys and values, ended as lm-evaluation-harness ends
 *  them. */
#ifndef LRP_PIPELINE_GENERATE_H
#define LRP_PIPELINE_GENERATE_H

#include "io/tokenizer/tokenizer.h"
#include "kernels/nn/forest.h"
#include "pipeline/tasks.h"

/** Most tokens that end an answer. */
enum { LRP_ENDINGS = 16 };

/** A stop string, and in how many of the last tokens it is looked for. */
typedef struct {
  const char *text; /* borrowed */
  int64_t tail;
} lrp_stop_string;

/** What ends an answer: EOS, a stop string in its text, or max_new tokens. */
typedef struct {
  const lrp_tokenizer *tok;                 /* borrowed */
  int64_t max_new;                          /* > 0 */
  lrp_stop_string stop[LRP_TASK_STOPS + 1]; /* those of the task, and the text of EOS */
  int n_stops;
  int32_t end[LRP_ENDINGS]; /* tokens that end an answer: EOS, and stops that are special tokens,
                               which decoded text does not show */
  int n_ends;
} lrp_endings;

/** The endings of a task of LRP_GENERATE. Local. kind and tok are borrowed.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_DATA */
lrp_status lrp_endings_init(const lrp_task_kind *kind, const lrp_tokenizer *tok, lrp_endings *out);

/** Add the tokens that end a text by the model's own word: eos_token_id, a number or a list, of
 *  generation_config.json in its directory, else of config.json. Chat models have several. Local.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_DATA (no JSON, no token ids, too many), LRP_ERR_PERM,
 *          LRP_ERR_IO */
lrp_status lrp_endings_of_model(lrp_endings *endings, const char *dir);

/** Whether an answer ends with the last of its n > 0 tokens, if it did not end before. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_endings_reached(const lrp_endings *endings, const int32_t *tokens, int64_t n,
                               bool *ended);

/** Text of an answer: decoded without special tokens, then cut at the first occurrence of each stop
 *  string in turn. Local; freed by the caller; NULL: out of memory (recorded).
 *  @param tokens  up to max_new, ended by a negative one if fewer */
char *lrp_endings_text(const lrp_endings *endings, const int32_t *tokens);

/** A prompt: n_tokens > 0 tokens, borrowed. */
typedef struct {
  const int32_t *tokens;
  int64_t n_tokens;
} lrp_prompt;

/** What computes the model, on one process rank or on several that take part in every call. Each
 *  call takes the caller's status so far, which need not be the same everywhere, and returns one
 *  that is: with a bad one nothing is computed. */
typedef struct {
  void *self; /* borrowed */
  /** Bytes of keys and values of one branch; the same on every process rank. Local. */
  size_t (*bytes)(void *self, const lrp_branch *branch);
  /** Forget all keys and values, make room for those of n branches. */
  lrp_status (*plan)(void *self, lrp_status mine, const lrp_branch *branches, int64_t n);
  /** Keep keys and values of a batch's rows and write the likeliest next token of each of its
   *  wanted rows, the lowest one of equal ones. batch NULL: only the status is told. */
  lrp_status (*next)(void *self, lrp_status mine, const lrp_batch *batch, int32_t *tokens);
} lrp_decoder;

/** How prompts are put together. Answers do not depend on it. */
typedef struct {
  bool share;          /* compute common beginnings of prompts once */
  int64_t bytes_limit; /* of keys and values at a time; a prompt is computed even beyond it */
} lrp_generate_options;

/** Generate the answers to n prompts: out, n x max_new tokens, -1 behind the last one of each.
 *  Prompts that fit in the memory limit advance together, a token each at a time. Their bits do not
 *  depend on each other. Collective over the process ranks of the decoder.
 *  @param[out] computed  tokens that went through the model
 *  @return LRP_OK, LRP_ERR_MEM, or what the decoder returns; the same on every process rank */
lrp_status lrp_generate(const lrp_decoder *decoder, const lrp_endings *endings,
                        const lrp_prompt *prompts, int64_t n, const lrp_generate_options *options,
                        int32_t *out, int64_t *computed);

#endif
