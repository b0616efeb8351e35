/** @file io/tokenizer/json_step.h
 *  One step of a tokenizer.json (normalizer, pre-tokenizer, post-processor, decoder), as a tree. */
#ifndef LRP_IO_TOKENIZER_JSON_STEP_H
#define LRP_IO_TOKENIZER_JSON_STEP_H

#include "io/tokenizer/json_scan.h"
#include "io/tokenizer/matcher.h"
#include "io/tokenizer/rules.h"
#include "kernels/status.h"

/** Reads a step of this type into the rules. */
typedef lrp_status (*lrp_json_step_reader)(const lrp_json_file *file, const char *type,
                                           const json_t *step, lrp_rules *r);

/** A kind of steps, and the member of a Sequence that lists them. */
typedef struct {
  const char *name, *list;
  lrp_json_step_reader read;
} lrp_json_step_kind;

/** Read a step, or all of a Sequence; absent and null are none. Local.
 *  @return LRP_OK; LRP_ERR_DATA (no tree of steps, or what read says); LRP_ERR_MEM */
lrp_status lrp_json_step_walk(const lrp_json_file *file, const lrp_json_step_kind *kind,
                              lrp_json_slice value, lrp_rules *r);

/** LRP_ERR_DATA "file: the KIND TYPE is not read by this version". Local. */
lrp_status lrp_json_step_unknown(const lrp_json_file *file, const char *kind, const char *type);

/** LRP_ERR_DATA "file: WHAT: expected EXPECTED". Local. */
lrp_status lrp_json_step_expected(const lrp_json_file *file, const char *what,
                                  const char *expected);

/** A flag; absent and null keep what *flag is. Local. @return LRP_OK, LRP_ERR_DATA */
lrp_status lrp_json_step_flag(const lrp_json_file *file, const json_t *step, const char *key,
                              bool *flag);

/** The pattern {"Regex": ".."} or {"String": ".."} of a step; what: its name, for messages. Local.
 *  @param[out] m  zeroed by the caller; freed upon failure
 *  @return LRP_OK, LRP_ERR_DATA, LRP_ERR_MEM */
lrp_status lrp_json_step_pattern(const lrp_json_file *file, const json_t *step, const char *what,
                                 lrp_matcher *m);

/** Where a Metaspace puts a mark in front. Local. @return LRP_OK, LRP_ERR_DATA */
lrp_status lrp_json_step_prefix(const lrp_json_file *file, const json_t *step, lrp_prefix *prefix);

#endif
