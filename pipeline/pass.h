/** @file pipeline/pass.h
 *  One pass over the weights: every byte is read once, ahead of its use, hashed, and looked at for
 *  NaN and Inf, while the process ranks compute. */
#ifndef LRP_PIPELINE_PASS_H
#define LRP_PIPELINE_PASS_H

#include "io/model/model.h"
#include "pipeline/control.h"
#include "pipeline/topology.h"

typedef struct lrp_pass lrp_pass;

/** A tensor that is about to be decomposed. */
typedef struct {
  const char *name;
  bool mine; /* this process rank reads it ahead, not another one of its node */
} lrp_pass_unit;

/** Number of tensors in the weight files: those of the first file by name, then of the next. Local.
 */
int64_t lrp_pass_tensors(const lrp_model *model);

/** Start a thread that reads the share of this process rank: of the units, in their order, those
 *  that are mine; then of all other tensors that are not known yet. Collective over topo->comm.
 *  @param xxh3   lrp_pass_tensors of them, the same everywhere: hashes of tensors that are known
 * and so were looked at before; 0: not known
 *  @param units  in the order of their use; used by this call alone
 *  @return LRP_OK, LRP_ERR_MEM; the same on every process rank */
lrp_status lrp_pass_start(const lrp_model *model, const lrp_topology *topo, const uint64_t *xxh3,
                          const lrp_pass_unit *units, int n_units, lrp_pass **out);

/** This process rank begins with units[unit]: reading goes on ahead of it. Local. */
void lrp_pass_reached(lrp_pass *pass, int unit);

/** Whether work may begin, as far as reading is concerned. Local. @return LRP_OK, else what
 *  lrp_pass_end is going to report */
lrp_status lrp_pass_check(lrp_pass *pass);

/** Look for NaN and Inf in the weight called name before a solver sees it. Local.
 *  @return LRP_OK, or LRP_ERR_DATA, which lrp_pass_end reports */
lrp_status lrp_pass_scan(lrp_pass *pass, const char *name, const lrp_matrix *w);

/** Wait until this process rank has read its share, or has to stop early. Local.
 *  @return LRP_OK, LRP_STOPPED, or as lrp_pass_check */
lrp_status lrp_pass_finish(lrp_pass *pass, lrp_control *control);

/** End the pass, finished or not. Collective over topo->comm; sets *pass to NULL; accepts NULL.
 *  After a NaN on any process rank the pass is finished first, as far as it takes to name the first
 *  tensor in the model's order, whatever the number of process ranks.
 *  @param[in,out] xxh3  gets what became known
 *  @return LRP_OK; LRP_ERR_DATA (NaN or Inf: tensor, place and count; a file that changed);
 *          LRP_ERR_ABSENT, LRP_ERR_PERM, LRP_ERR_IO; the same everywhere */
lrp_status lrp_pass_end(lrp_pass **pass, uint64_t *xxh3);

#endif
