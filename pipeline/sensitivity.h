/** @file pipeline/sensitivity.h
 *  How much a model loses by which matrices, from configurations that change few of them.
 *
 *  Every loss is an increase over the dense configuration, paired document by document. Documents
 * of even index in their task are there to choose by; those of odd index are held out, so that what
 * was chosen can be judged by documents that had no part in it. */
#ifndef LRP_PIPELINE_SENSITIVITY_H
#define LRP_PIPELINE_SENSITIVITY_H

#include <jansson.h>

#include "pipeline/document_values.h"

/** Where the ranks of a configuration are not 0. */
typedef enum {
  LRP_SHAPE_DENSE,  /* nowhere */
  LRP_SHAPE_UNIT,   /* one tensor of one layer */
  LRP_SHAPE_LAYER,  /* several tensors of one layer */
  LRP_SHAPE_TENSOR, /* one tensor of several layers */
  LRP_SHAPE_MIXED
} lrp_shape;

/** Shape of rank[layers * tensors]. Local. */
lrp_shape lrp_configuration_shape(const int *rank, int layers, int tensors);

/** A configuration and what it made of the documents. All borrowed. */
typedef struct {
  const char *name;
  double reduction_percent;
  const int *rank; /* layers * tensors */
  const double *loss, *score;
} lrp_measured;

typedef struct lrp_sensitivity lrp_sensitivity;

/** Compare configurations of a model to dense. Local. What dense has is copied, docs and
 *  tensor_names are borrowed. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_sensitivity_create(const lrp_documents *docs, int layers, int tensors,
                                  const char *const *tensor_names, const lrp_measured *dense,
                                  lrp_sensitivity **out);

/** Add a configuration; nothing of it is kept but what it amounts to. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_sensitivity_add(lrp_sensitivity *s, const lrp_measured *c);

/** {"measure", "split", "dense", "configurations", "units", "layers", "tensors"}, in the order in
 *  which they were added. Local. A new reference, or NULL when out of memory. */
json_t *lrp_sensitivity_json(const lrp_sensitivity *s);

void lrp_sensitivity_destroy(lrp_sensitivity **s);

#endif
