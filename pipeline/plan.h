/** @file pipeline/plan.h
 *  Job + model -> units to decompose and the rank of every unit in every configuration. */
#ifndef LRP_PIPELINE_PLAN_H
#define LRP_PIPELINE_PLAN_H

#include "io/model/config.h"
#include "pipeline/cost.h"
#include "pipeline/job.h"

/** One (layer, tensor) to decompose, once, at the largest rank that any configuration asks for. */
typedef struct {
  char *name; /* owned: full name of the weight */
  int layer, tensor;
  int64_t m, n;   /* W is m x n: out x in */
  int rank;       /* largest asked */
  double seconds; /* predicted, of one process rank (pipeline/cost.h) */
  double bytes;   /* that it needs at once, besides the mapped weights */
} lrp_unit;

/** A configuration, resolved. */
typedef struct {
  char *name;    /* owned */
  int *rank;     /* owned, layers * tensors: rank of (layer, tensor) at [layer * tensors + tensor];
                    0 where it stays dense. With energy > 0: an upper bound until resolved */
  double energy; /* > 0: the rank is known after decomposing */
} lrp_configuration;

typedef struct {
  int layers, tensors; /* of the model */
  lrp_unit *units;     /* owned, by layer, then tensor */
  int n_units;
  lrp_configuration *configurations; /* owned, in job order: those listed, then those of sweeps */
  int n_configurations;
} lrp_plan;

/** Resolve job against config. Local, deterministic.
 *  Sweeps are expanded (pipeline/expand.h). A configuration of a sweep that has the ranks of an
 *  earlier one is left out, and logged with both names.
 *  rank > min(m, n) is capped with one warning per configuration that is listed, or per sweep.
 *  LRP_ERR_JOB with the origin of the configuration: a layer or tensor that the model lacks or that
 *  is listed twice or in two parts, ranks that do not match the layers or tensors, a ratio too
 * small for rank 1. A rank from energy starts at the break-even rank, which bounds it. Units have
 *  predictions by guessed speeds.
 *  @return LRP_OK, LRP_ERR_JOB, LRP_ERR_MEM */
lrp_status lrp_plan_create(const lrp_job *job, const lrp_config *config, lrp_plan *out);

/** What is to be done for a unit, for predictions. Local. */
lrp_cost_task lrp_unit_task(const lrp_unit *unit, lrp_method method, lrp_dtype weights,
                            lrp_dtype factors);

/** Predict seconds and bytes of the units by the speeds cost. Local. */
void lrp_plan_predict(lrp_plan *plan, const lrp_cost *cost, lrp_method method, lrp_dtype weights,
                      lrp_dtype factors);

/** Release everything and zero *plan. Local. */
void lrp_plan_free(lrp_plan *plan);

/** Index of the unit (layer, tensor), or -1. Local. */
int lrp_plan_unit(const lrp_plan *plan, int layer, int tensor);

/** What a configuration costs. */
typedef struct {
  int64_t parameters, parameters_dense;
  double reduction_percent; /* 100 (1 - parameters / parameters_dense) */
  int64_t bytes;            /* weights in the stored dtypes; the core of tucker is float32 */
  int64_t flops_per_token;  /* 2 x parameters of linears and head */
} lrp_size;

/** Size of the model with the ranks rank[layers * tensors] (0 = dense; NULL: all dense). Local.
 *  @param weight_bytes  bytes of an element of the dense weights; factor_bytes of the factors */
lrp_size lrp_plan_size(const lrp_config *config, lrp_method method, const int *rank,
                       size_t weight_bytes, size_t factor_bytes);

#endif
