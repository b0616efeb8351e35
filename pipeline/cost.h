/** @file pipeline/cost.h
 *  What decomposing a matrix takes: predicted seconds and memory of one process rank.
 *
 *  A method is a sequence of stages. The work of a stage follows from shape and rank, its speed is
 *  measured once per machine (lrpipe doctor --calibrate) at two sizes and interpolated between
 *  them. Pure arithmetic. */
#ifndef LRP_PIPELINE_COST_H
#define LRP_PIPELINE_COST_H

#include <stdbool.h>

#include "kernels/linalg/factors.h"

/** stage, name, the two sizes, guessed speed of one thread: units of work per second. The size of a
 *  stage is the short side of the matrix; of krylov the rank, of a file none.
 *  finish: everything of the Gram method that is not above it (products, orthogonalisation,
 *  certificate, rounding); gesdd and krylov: whole methods, with certificate and rounding.
 *  look: reading and looking for NaN while another unit is computed, which that is longer for.
 *  commit: bringing a unit to disk, in units per second. */
#define LRP_COST_STAGES(X)                                 \
  X(LRP_COST_GESDD, "gesdd", 128, 1024, 5e9)               \
  X(LRP_COST_KRYLOV, "krylov", 16, 128, 2e10)              \
  X(LRP_COST_GRAM_BF16, "gram_bfloat16", 1536, 4096, 3e10) \
  X(LRP_COST_GRAM_F32, "gram_float32", 1536, 4096, 3e10)   \
  X(LRP_COST_EIGEN, "eigenvalues", 1536, 4096, 1.5e10)     \
  X(LRP_COST_BACK, "eigenvectors", 1536, 4096, 3e10)       \
  X(LRP_COST_FINISH, "finish", 1536, 4096, 2e10)           \
  X(LRP_COST_LOOK, "look", 1, 1, 1e9)                      \
  X(LRP_COST_READ, "read", 1, 1, 2e8)                      \
  X(LRP_COST_WRITE, "write", 1, 1, 2e8)                    \
  X(LRP_COST_COMMIT, "commit", 1, 1, 1e2)

#define LRP_COST_ENUM(stage, name, small, large, guess) stage,
typedef enum { LRP_COST_STAGES(LRP_COST_ENUM) LRP_COST_N_STAGES } lrp_cost_stage;
#undef LRP_COST_ENUM

/** Name of a stage; the smaller (i = 0) and the larger (i = 1) size. Local. */
const char *lrp_cost_name(lrp_cost_stage stage);
int lrp_cost_size(lrp_cost_stage stage, int i);

/** Whether the process ranks of a node share the speed of the stage: a disk, not a core. Local. */
bool lrp_cost_is_file(lrp_cost_stage stage);

/** Speeds of one process rank while all process ranks of its node work: at both sizes. */
typedef struct {
  double speed[LRP_COST_N_STAGES][2];
} lrp_cost;

/** Guesses for a process rank of so many threads: right within a factor of some. Local. */
lrp_cost lrp_cost_guess(int threads);

/** What is to be decomposed, and into what. */
typedef struct {
  int64_t m, n;
  int rank;
  lrp_method method;
  lrp_dtype weights, factors;
} lrp_cost_task;

/** Work of a stage: floating-point operations; look, read, write: bytes; commit: 1. 0 if the task
 * does without it. Local. */
double lrp_cost_work(lrp_cost_stage stage, const lrp_cost_task *task);

/** Seconds of a stage. Local. */
double lrp_cost_stage_seconds(const lrp_cost *cost, lrp_cost_stage stage,
                              const lrp_cost_task *task);

/** Seconds of one process rank from weights on disk to factors on disk. Reading goes on while
 *  another unit is computed, so the longer of both counts. Local. */
double lrp_cost_seconds(const lrp_cost *cost, const lrp_cost_task *task);

/** Bytes that one process rank needs at once, besides the mapped weights. Local. */
double lrp_cost_bytes(const lrp_cost_task *task);

/** The same where size process ranks share the task by ScaLAPACK, of the one that needs most: it
 *  collects the result. Local. */
double lrp_cost_grid_bytes(const lrp_cost_task *task, int size);

/** Bytes of the factors and the spectrum as they are stored. Local. */
double lrp_cost_stored_bytes(const lrp_cost_task *task);

#endif
