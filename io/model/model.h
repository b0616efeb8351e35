/** @file io/model/model.h
 *  A Hugging Face model directory: configuration and mapped weights, used as it is. */
#ifndef LRP_IO_MODEL_MODEL_H
#define LRP_IO_MODEL_MODEL_H

#include <stdint.h>

#include "io/model/config.h"
#include "io/model/shards.h"

typedef struct {
  char *dir; /* owned */
  lrp_config config;
  lrp_shard *shards; /* owned, sorted by name */
  int n_shards;
} lrp_model;

/** Open dir: config.json and model.safetensors, or else the shards of model.safetensors.index.json.
 *  Local. Every tensor that the forward pass needs is there in the right shape and in F32, F16 or
 *  BF16 (a tied head may lie under either name); others are tolerated.
 *  @return LRP_OK; LRP_ERR_ABSENT (no directory, a missing shard: all are listed; only pickle
 *          weights); LRP_ERR_DATA (a tensor absent or of another shape or type, a name twice, an
 *          index that points outside of dir); LRP_ERR_PERM; LRP_ERR_MEM; LRP_ERR_IO */
lrp_status lrp_model_open(const char *dir, lrp_model *out);

/** Unmap and zero *model. Local; accepts a zeroed one. */
void lrp_model_close(lrp_model *model);

/** View of the tensor called name, which must be rows x cols; for rows = 1 a vector [cols] will do,
 *  too. Local; the view lives as long as the model.
 *  @return LRP_OK, or LRP_ERR_DATA (absent, other shape or type) */
lrp_status lrp_model_matrix(const lrp_model *model, const char *name, int64_t rows, int64_t cols,
                            lrp_matrix *view);

/** Type of most of the decomposable tensors: "model" in job files. On a tie the wider. Local. */
lrp_dtype lrp_model_dtype(const lrp_model *model);

/** Number of weights to scan, and the i-th: its name and view, in a fixed order (embedding; per
 * layer norms, linears, biases; last norm; head if it is not tied). Local; the name lives as long
 * as the model. For scanning every weight that a run uses for NaN and Inf. */
int64_t lrp_model_weight_count(const lrp_model *model);
void lrp_model_weight(const lrp_model *model, int64_t i, const char **name, lrp_matrix *view);

/** Build the dense forward model of the family: views into the mapped files, so it lives as long as
 *  the model. Local. Release with free, which accepts a zeroed one. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_model_llama(const lrp_model *model, lrp_llama *out);
void lrp_model_llama_free(lrp_llama *llama);
lrp_status lrp_model_bert(const lrp_model *model, lrp_bert *out);
void lrp_model_bert_free(lrp_bert *bert);

#endif
