/** @file io/model/document.h
 *  Checked reading of the members of config.json: a part of io/model/config.h. All local; a failure
 *  names file, key and value. */
#ifndef LRP_IO_MODEL_DOCUMENT_H
#define LRP_IO_MODEL_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"

/** The file while it is read. */
typedef struct {
  const char *path; /* borrowed */
  json_t *root;     /* owned by the reader */
} lrp_document;

/** LRP_ERR_DATA "file: key: expected ..., got value" */
lrp_status lrp_document_bad(const lrp_document *d, const char *key, const json_t *value,
                            const char *expected);

/** A member of an object; NULL if it is absent or null, which is the same in Hugging Face. */
const json_t *lrp_document_member(const json_t *object, const char *key);

/** The integer of a key, in min .. max; fallback if it is absent, or LRP_ERR_DATA if fallback <
 * min: the key must be there. */
lrp_status lrp_document_integer(const lrp_document *d, const char *key, int64_t min, int64_t max,
                                int64_t fallback, int64_t *out);

/** The same for an int in 1 .. max. */
lrp_status lrp_document_int(const lrp_document *d, const char *key, int64_t max, int64_t fallback,
                            int *out);

/** A number > 0; name: its key, for messages. */
lrp_status lrp_document_number(const lrp_document *d, const char *name, const json_t *value,
                               double *out);

/** The number > 0 of a key of an object; *out stays as it is if that is absent. */
lrp_status lrp_document_positive(const lrp_document *d, const json_t *object, const char *key,
                                 double *out);

/** true or false; absent is false. */
lrp_status lrp_document_bool(const lrp_document *d, const char *key, bool *out);

#endif
