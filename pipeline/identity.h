/** @file pipeline/identity.h
 *  That an output and the model belong together, and stay so: OUT/model.json.
 *
 *  It holds, of each weight file, size, times, inode and the hash of its header, and a hash of each
 *  tensor as far as one was computed. Files with the same times are taken for unchanged and not
 * read again; where the times differ, the hashes decide. */
#ifndef LRP_PIPELINE_IDENTITY_H
#define LRP_PIPELINE_IDENTITY_H

#include "pipeline/control.h"
#include "pipeline/study.h"

typedef struct {
  const lrp_study *study;   /* borrowed */
  const lrp_topology *topo; /* borrowed */
  uint64_t *xxh3; /* owned, n: XXH3-64 of each tensor, as lrp_pass_tensors counts; 0: not known */
  int64_t n;
} lrp_identity;

/** Compare the weight files with <output>/model.json, or make that file where the output holds no
 *  ledgers yet. Files with other times are read and compared, which takes as long as reading them.
 *  Collective over topo->comm; the output's lock is held.
 *  @return LRP_OK; LRP_ERR_DATA if a file or tensor differs, NaN are found, or model.json cannot
 *          tell; LRP_STOPPED; LRP_ERR_IO, ...; the same on every process rank */
lrp_status lrp_identity_open(const lrp_study *study, const lrp_topology *topo, lrp_control *control,
                             lrp_identity *out);

/** Whether every tensor is known, and so was looked at for NaN and Inf, by this or an earlier
 *  attempt. Local. */
bool lrp_identity_complete(const lrp_identity *identity);

/** Write what became known since. Collective.
 *  @return LRP_OK; LRP_ERR_DATA if a weight file has changed since it was opened; LRP_ERR_CREATE,
 *          LRP_ERR_IO, ...; the same on every process rank */
lrp_status lrp_identity_save(const lrp_identity *identity);

/** Release and zero *identity. Local; accepts a zeroed one. */
void lrp_identity_close(lrp_identity *identity);

#endif
