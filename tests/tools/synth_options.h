/** @file tests/tools/synth_options.h
 *  Command line of synth_model. */
#ifndef LRP_TESTS_TOOLS_SYNTH_OPTIONS_H
#define LRP_TESTS_TOOLS_SYNTH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "kernels/status.h"

typedef enum { LRP_SYNTH_LLAMA, LRP_SYNTH_BERT } lrp_synth_arch;
typedef enum { LRP_SYNTH_ROPE_NONE, LRP_SYNTH_ROPE_LINEAR, LRP_SYNTH_ROPE_LLAMA3 } lrp_synth_rope;

typedef enum {
  LRP_SYNTH_CLASSIFIER,
  LRP_SYNTH_ANSWERS,
  LRP_SYNTH_MASKED,
  LRP_SYNTH_BARE
} lrp_synth_head;

typedef struct {
  const char *out;       /* directory to write; borrowed from argv */
  const char *tokenizer; /* directory to copy the tokenizer from, or NULL; borrowed from argv */
  int64_t arch;          /* lrp_synth_arch */
  int64_t dtype;         /* lrp_dtype */
  int64_t rope_scaling;  /* lrp_synth_rope */
  int64_t head;          /* lrp_synth_head, of BERT */
  int64_t hidden, intermediate, layers, heads, kv_heads, head_dim; /* kv_heads, head_dim: 0 =
                                                                      default until parsed */
  int64_t vocab, max_position, shards, seed, outliers;
  double rope_theta;
  bool tied, attention_bias, help;
} lrp_synth_options;

/** Parse argv, fill in the defaults and check the values against each other. Local.
 *  With help set, nothing else is checked.
 *  @return LRP_OK; LRP_ERR_USAGE with option and value */
lrp_status lrp_synth_options_parse(int argc, char **argv, lrp_synth_options *out);

/** --help, from the option table. Local. */
void lrp_synth_options_help(FILE *stream);

#endif
