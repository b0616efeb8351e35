/** @file tests/tools/synth_reader.h
 *  A small strict reader of safetensors files for tests: independent of the program's own. */
#ifndef LRP_TESTS_TOOLS_SYNTH_READER_H
#define LRP_TESTS_TOOLS_SYNTH_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** Whole file path with a NUL behind it, or NULL; freed by the caller. Local. */
char *lrp_synth_slurp(const char *path, size_t *size);

typedef struct {
  char *bytes; /* owned; the whole file */
  size_t size;
  json_t *header;   /* owned reference */
  const char *data; /* in bytes */
} lrp_synth_weights;

/** Read path and check that its header is padded to 8 and that its tensors lie in it one behind
 *  the other, without holes, in sizes that follow from type and shape. Local.
 *  @return whether all that is so; *out is to be freed in any case */
bool lrp_synth_weights_read(const char *path, lrp_synth_weights *out);
void lrp_synth_weights_free(lrp_synth_weights *w);

/** Data and size in bytes of the tensor called name, or NULL; *entry is its header entry. Local. */
const char *lrp_synth_weights_find(const lrp_synth_weights *w, const char *name, size_t *size,
                                   json_t **entry);

#endif
