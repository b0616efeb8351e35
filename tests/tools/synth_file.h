/** @file tests/tools/synth_file.h
 *  Files of the model directory. */
#ifndef LRP_TESTS_TOOLS_SYNTH_FILE_H
#define LRP_TESTS_TOOLS_SYNTH_FILE_H

#include <jansson.h>
#include <stdio.h>

#include "kernels/status.h"

/** A file being written; the first failure of a write is recorded with the path. */
typedef struct {
  char *path;   /* owned */
  FILE *stream; /* owned */
} lrp_synth_file;

/** Create directory path and its parents; it must be empty. Local.
 *  @return LRP_OK; LRP_ERR_CREATE (not a directory, not empty, ...), LRP_ERR_PERM, LRP_ERR_MEM */
lrp_status lrp_synth_directory(const char *path);

/** Create dir/name. Local. @return LRP_OK, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_MEM */
lrp_status lrp_synth_file_create(const char *dir, const char *name, lrp_synth_file *out);

/** Append. Local. @return LRP_OK, LRP_ERR_IO */
lrp_status lrp_synth_file_append(lrp_synth_file *f, const void *data, size_t size);

/** Close; a failed write that was buffered shows here. Local; accepts a zeroed file.
 *  @return st if that is not LRP_OK, else LRP_OK or LRP_ERR_IO */
lrp_status lrp_synth_file_close(lrp_synth_file *f, lrp_status st);

/** Write value to dir/name, indented. Local. value may be NULL: out of memory.
 *  @return LRP_OK, LRP_ERR_MEM, LRP_ERR_CREATE, LRP_ERR_PERM, LRP_ERR_IO */
lrp_status lrp_synth_json_write(const char *dir, const char *name, const json_t *value);

#endif
