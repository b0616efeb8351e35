/** @file io/model/shards.h
 *  The weight files of a Hugging Face model directory. */
#ifndef LRP_IO_MODEL_SHARDS_H
#define LRP_IO_MODEL_SHARDS_H

#include "io/model/safetensors.h"
#include "kernels/status.h"

/** A weight file of the model. */
typedef struct {
  char *name; /* owned; within the directory */
  lrp_safetensors st;
} lrp_shard;

/** Map model.safetensors, or the files that model.safetensors.index.json names. Local.
 *  No file outside of dir is opened: a name in the index is a plain one, and a symbolic link leads
 *  into dir, or into the blobs folder of the Hugging Face cache that dir is a snapshot of.
 *  @param[out] shards  owned by the caller, sorted by name; release with lrp_shards_close
 *  @return LRP_OK; LRP_ERR_ABSENT (no weights; only pickle weights; missing shards: all are named);
 *          LRP_ERR_DATA (a broken file or index; a tensor in two files; a tensor that is not where
 *          the index says); LRP_ERR_PERM; LRP_ERR_IO; LRP_ERR_MEM */
lrp_status lrp_shards_open(const char *dir, lrp_shard **shards, int *count);

/** Unmap count shards and free the array. Local; accepts NULL. */
void lrp_shards_close(lrp_shard *shards, int count);

/** The tensor called name and, if at is not NULL, its shard; or NULL. Local. */
const lrp_safetensor *lrp_shards_find(const lrp_shard *shards, int count, const char *name,
                                      const lrp_shard **at);

/** Names in one message: "a, b, c", cut with "..." where there is no room. */
typedef struct {
  char text[1200];
  size_t length;
  int64_t count;
} lrp_name_list;

/** Append name. Local; start with a zeroed list. */
void lrp_name_list_add(lrp_name_list *list, const char *name);

#endif
