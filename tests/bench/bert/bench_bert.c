/* Inputs per second of BERT's forward pass; peer_bert.py runs it beside PyTorch.
 *
 *     bench_bert MODEL float32|bfloat16 BATCH LENGTH REPEATS */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/model/model.h"

enum { block_tokens = 2048 };

typedef struct {
  int64_t batch, length, repeats;
  lrp_dtype operands;
} arguments;

/* A batch of inputs of that many tokens; the same ones as peer_bert.py's. */
static void fill(const lrp_bert_config *c, const arguments *a, int32_t *tokens,
                 lrp_bert_input *inputs) {
  for (int64_t i = 0; i < a->batch; i++) {
    for (int64_t t = 0; t < a->length; t++) {
      tokens[i * a->length + t] = (int32_t)((i * 7919 + t * 104729) % c->vocab_size);
    }
    inputs[i] = (lrp_bert_input){.tokens = tokens + i * a->length, .n_tokens = a->length};
  }
}

/* The whole batch, in blocks of as many tokens as the program evaluates at once. */
static lrp_status pass(const lrp_bert *model, lrp_bert_workspace *ws, const arguments *a,
                       const lrp_bert_input *inputs, float *out) {
  const int64_t block = a->length < block_tokens ? block_tokens / a->length : 1;
  lrp_status st = LRP_OK;
  for (int64_t i = 0; st == LRP_OK && i < a->batch; i += block) {
    const int64_t n = a->batch - i < block ? a->batch - i : block;
    st = lrp_bert_forward(model, ws, inputs + i, n,
                          out + i * lrp_bert_outputs(&model->config, a->length));
  }
  return st;
}

/* One pass to warm up, then each one timed. */
static lrp_status measure(const lrp_bert *model, lrp_bert_workspace *ws, const arguments *a,
                          const lrp_bert_input *inputs, float *out) {
  lrp_status st = pass(model, ws, a, inputs, out);
  double best = 0.0;
  for (int64_t i = 0; st == LRP_OK && i < a->repeats; i++) {
    const double start = MPI_Wtime();
    st = pass(model, ws, a, inputs, out);
    const double seconds = MPI_Wtime() - start;
    if (best == 0.0 || seconds < best) best = seconds;
  }
  if (st == LRP_OK) {
    printf("%.3f %.6f %.6f\n", (double)a->batch / best, (double)out[0], (double)out[1]);
  }
  return st;
}

static lrp_status run(const lrp_model *model, const arguments *a) {
  const lrp_bert_config *c = &model->config.bert;
  const size_t n = (size_t)(a->batch * a->length);
  int32_t *tokens = calloc(n, sizeof *tokens);
  lrp_bert_input *inputs = calloc((size_t)a->batch, sizeof *inputs);
  float *out = calloc((size_t)(a->batch * lrp_bert_outputs(c, a->length)), sizeof *out);
  lrp_bert_workspace *ws = NULL;
  lrp_bert bert = {0};
  lrp_status st = tokens && inputs && out ? LRP_OK : lrp_fail_memory(n, "a batch");

  if (st == LRP_OK) st = lrp_model_bert(model, &bert);
  if (st == LRP_OK) st = lrp_bert_workspace_create(c, a->operands, &ws);
  if (st == LRP_OK) {
    fill(c, a, tokens, inputs);
    st = measure(&bert, ws, a, inputs, out);
  }
  lrp_bert_workspace_destroy(&ws);
  lrp_model_bert_free(&bert);
  free(out);
  free(inputs);
  free(tokens);
  return st;
}

int main(int argc, char **argv) {
  lrp_model model = {0};
  if (argc != 6) {
    fprintf(stderr, "usage: bench_bert MODEL float32|bfloat16 BATCH LENGTH REPEATS\n");
    return 2;
  }
  const arguments a = {.batch = atoll(argv[3]),
                       .length = atoll(argv[4]),
                       .repeats = atoll(argv[5]),
                       .operands = strcmp(argv[2], "bfloat16") == 0 ? LRP_BF16 : LRP_F32};
  MPI_Init(&argc, &argv);
  lrp_status st = lrp_model_open(argv[1], &model);
  if (st == LRP_OK && model.config.family != LRP_FAMILY_BERT) st = LRP_ERR_USAGE;
  if (st == LRP_OK) st = run(&model, &a);
  if (st != LRP_OK) fprintf(stderr, "bench_bert: %s\n", lrp_failure_message(st));
  lrp_model_close(&model);
  MPI_Finalize();
  return st == LRP_OK ? 0 : 1;
}
