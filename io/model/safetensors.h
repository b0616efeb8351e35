/** @file io/model/safetensors.h
 *  A safetensors file, mapped and checked. Source: the format's description and the checks of its
 *  reference reader; a file that any rule forbids is refused before a byte of data is used. */
#ifndef LRP_IO_MODEL_SAFETENSORS_H
#define LRP_IO_MODEL_SAFETENSORS_H

#include "io/base/file.h"
#include "kernels/matrix.h"
#include "kernels/status.h"

enum { LRP_SAFETENSORS_MAX_DIMS = 8 };

typedef struct {
  const char *name;  /* owned by the file */
  const char *dtype; /* as in the file: "F32", "BF16", "I64", ...; static */
  int ndim;
  int64_t shape[LRP_SAFETENSORS_MAX_DIMS];
  const void *data; /* in the mapping; any alignment; of no use if bytes is 0 */
  size_t bytes;
} lrp_safetensor;

typedef struct {
  char *path;              /* owned */
  void *map;               /* owned mapping, read-only */
  size_t size;             /* of the file */
  lrp_file_stamp stamp;    /* of the file, when it was mapped */
  uint64_t header_xxh3;    /* XXH3-64 of everything before the data */
  lrp_safetensor *tensors; /* owned, sorted by name (strcmp) */
  int64_t count;
  void *names; /* owned */
} lrp_safetensors;

/** Map path and check its header. Local.
 *  Refused (LRP_ERR_DATA, with what and where): not a regular file; shorter than 8 bytes; header
 *  length 0, > 1e8 or past the end; header not a JSON object in UTF-8 that starts with '{', or
 *  deeper than 8 levels or of more than 2e7 values; duplicate names; __metadata__ that is not an
 *  object of strings; unknown dtype; a shape that is not an array of integers >= 0 or overflows;
 *  data_offsets that do not match the size, overlap, leave holes or end before or after the file;
 *  more than 1e6 tensors or 8 dimensions; names with NUL or over 1 KiB; a Git LFS pointer ("is a
 *  Git LFS pointer, not the weights; run git lfs pull"). Other members of a tensor are ignored.
 *  @return LRP_OK, LRP_ERR_ABSENT, LRP_ERR_PERM, LRP_ERR_DATA, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_safetensors_open(const char *path, lrp_safetensors *out);

/** Unmap and zero *st. Local; accepts a zeroed one. */
void lrp_safetensors_close(lrp_safetensors *st);

/** The tensor called name, or NULL. Local. */
const lrp_safetensor *lrp_safetensors_find(const lrp_safetensors *st, const char *name);

#endif
