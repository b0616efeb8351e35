/** @file pipeline/shared.h
 *  One block of memory for all process ranks of a node. */
#ifndef LRP_PIPELINE_SHARED_H
#define LRP_PIPELINE_SHARED_H

#include <stddef.h>

#include "kernels/status.h"

/** Anonymous memory: no file system and none of its limits is involved (a container's /dev/shm is
 *  often 64 MB). Zeroed before the first use. */
typedef struct {
  void *data; /* owned mapping, aligned to pages; NULL: none */
  size_t bytes;
  int file; /* owned: that the mapping shows; -1: it is this process rank's alone */
} lrp_shared;

/** Map bytes > 0, the same number on every process rank, without taking memory yet. Collective over
 *  node. Where it is a node's only process rank, large pages are asked for.
 *  @return LRP_OK; LRP_ERR_MEM; LRP_ERR_IO if the process ranks cannot see each other's files in
 *          /proc (each in a container of its own); the same on every process rank of node */
lrp_status lrp_shared_create(MPI_Comm node, size_t bytes, lrp_shared *out);

/** Take the memory of a part now, so that writing to it cannot fail later. Local; each part by one
 *  process rank. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_shared_reserve(const lrp_shared *shared, size_t offset, size_t bytes);

/** Release and zero *shared. Local; accepts a zeroed one. */
void lrp_shared_free(lrp_shared *shared);

#endif
