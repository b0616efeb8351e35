/** @file tests/tools/synth_arch.h
 *  What a model of an architecture consists of: config.json and the list of its tensors. */
#ifndef LRP_TESTS_TOOLS_SYNTH_ARCH_H
#define LRP_TESTS_TOOLS_SYNTH_ARCH_H

#include "tests/tools/synth_options.h"

/** How the values of a tensor are drawn. */
typedef enum {
  LRP_SYNTH_LINEAR, /* decaying spectrum with outliers, variance gain^2 / cols */
  LRP_SYNTH_TABLE,  /* embedding or head: independent, variance 1 / cols */
  LRP_SYNTH_NORM,   /* near 1 */
  LRP_SYNTH_BIAS    /* near 0 */
} lrp_synth_kind;

typedef struct {
  char name[96];
  lrp_synth_kind kind;
  int ndim;           /* 1 or 2 */
  int64_t rows, cols; /* rows = 1 if ndim = 1 */
  double gain;
} lrp_synth_tensor;

typedef struct {
  lrp_synth_tensor *items; /* owned */
  int64_t count, capacity;
} lrp_synth_tensors;

/** All tensors in the order of the forward pass. Local. Release with free, which zeroes.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_synth_tensors_init(const lrp_synth_options *o, lrp_synth_tensors *out);
void lrp_synth_tensors_free(lrp_synth_tensors *t);

/** Write <o->out>/config.json as Hugging Face does for the class. Local.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO */
lrp_status lrp_synth_config_write(const lrp_synth_options *o);

#endif
