/** @file io/tokenizer/beside.h
 *  The small files beside a tokenizer's own: tokenizer_config.json, special_tokens_map.json. */
#ifndef LRP_IO_TOKENIZER_BESIDE_H
#define LRP_IO_TOKENIZER_BESIDE_H

#include <jansson.h>
#include <stdbool.h>

#include "kernels/status.h"

/** Whether there is no such file. Local. */
bool lrp_beside_absent(const char *path);

/** The bytes of dir/name, at most max, and its path: both owned by the caller. *path is NULL if dir
 *  has no such file, and may be set on error. Local.
 *  @return LRP_OK, LRP_ERR_DATA, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_beside_read(const char *dir, const char *name, size_t max, char **path, char **data,
                           size_t *size);

/** The object in dir/name, its integers as reals, or NULL if dir has no such file. Local; released
 *  with json_decref. @return LRP_OK, LRP_ERR_DATA, LRP_ERR_PERM, LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_beside_object(const char *dir, const char *name, json_t **root);

/** A flag of tokenizer_config.json; absent and null keep what *value is. Local.
 *  @return LRP_OK, LRP_ERR_DATA */
lrp_status lrp_beside_flag(const char *dir, const json_t *root, const char *key, bool *value);

#endif
