/** @file kernels/linalg/scratch.h
 *  Work space of the solvers, kept from one matrix to the next.
 *
 *  Fresh pages cost as much as computing on them: 64 MiB of new memory are 16384 page faults. Space
 *  is taken from the top and given back down to a mark, like a stack. */
#ifndef LRP_KERNELS_LINALG_SCRATCH_H
#define LRP_KERNELS_LINALG_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

/** Zero-initialized: empty. Not for several threads at once. */
typedef struct {
  struct lrp_scratch_block *blocks; /* owned, the newest first */
  size_t in_use, peak;              /* bytes */
} lrp_scratch;

/** Room for rows x cols elements of that size, aligned to 64 bytes, not cleared; or NULL where
 *  *status is not LRP_OK, or memory runs out, which is recorded and put into *status: so several
 *  takes need one check. Local. */
void *lrp_scratch_take(lrp_scratch *s, lrp_status *status, int64_t rows, int64_t cols, size_t size);

/** What is taken now; give everything back that was taken after mark. Pages stay. Local. */
size_t lrp_scratch_mark(const lrp_scratch *s);
void lrp_scratch_release(lrp_scratch *s, size_t mark);

/** Give all memory back to the system and zero *s. Local; accepts a zeroed one. */
void lrp_scratch_free(lrp_scratch *s);

#endif
