/** @file io/model/families.h
 *  What differs between families of models: a part of io/model/config.h and io/model/model.h. */
#ifndef LRP_IO_MODEL_FAMILIES_H
#define LRP_IO_MODEL_FAMILIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/model/config.h"
#include "io/model/document.h"

/** Limits of what is believed. */
#define LRP_CONFIG_MAX_SIZE ((int64_t)1 << 24) /* hidden_size and the like */
enum { LRP_CONFIG_MAX_LAYERS = 65536 };

/** A weight that the forward pass needs. */
typedef struct {
  char name[96];
  char other[96]; /* the name that it may have instead, or "" */
  int ndim;       /* 1: a vector of cols elements */
  int64_t rows, cols;
} lrp_weight_spec;

/** Functions of a family, for a configuration of that family. All local. */
typedef struct {
  lrp_family family;
  int tensors; /* decomposable ones of a layer */
  /** The rest of the file, for the architecture that out names. @return LRP_OK, LRP_ERR_DATA */
  lrp_status (*read)(const lrp_document *d, lrp_config *out);
  const char *(*tensor_name)(int tensor);
  void (*tensor_shape)(const lrp_config *c, int tensor, int64_t *m, int64_t *n);
  void (*tensor_path)(const lrp_config *c, int layer, int tensor, char *name, size_t size);
  bool (*has_bias)(const lrp_config *c, int tensor);
  int64_t (*head_weights)(const lrp_config *c);     /* of linear maps outside of the layers */
  int64_t (*other_parameters)(const lrp_config *c); /* all but linear maps of layers */
  /** What the forward pass needs, in the order of lrp_model_weight(). */
  int64_t (*weight_count)(const lrp_config *c);
  lrp_weight_spec (*weight_at)(const lrp_config *c, int64_t i);
} lrp_family_rules;

extern const lrp_family_rules lrp_llama_rules, lrp_bert_rules;

/** Rules of the family of c. Local. */
const lrp_family_rules *lrp_family_of(const lrp_config *c);

#endif
