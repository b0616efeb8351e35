/** @file io/tokenizer/json_steps.h
 *  The steps around the model in a tokenizer.json. */
#ifndef LRP_IO_TOKENIZER_JSON_STEPS_H
#define LRP_IO_TOKENIZER_JSON_STEPS_H

#include "io/tokenizer/json_scan.h"
#include "io/tokenizer/rules.h"
#include "kernels/status.h"

/** Values of the file's members of these names; absent ones are as null. */
typedef struct {
  lrp_json_slice normalizer, pre_tokenizer, post_processor, decoder;
} lrp_json_steps;

/** Follow normalizer, pre-tokenizer and decoder. Local.
 *  @return LRP_OK; LRP_ERR_DATA for a step that is not known (named), or byte-level; LRP_ERR_MEM */
lrp_status lrp_json_steps_read(const lrp_json_file *file, const lrp_json_steps *steps,
                               lrp_rules *r);

/** Follow the post-processor; r has its vocabulary. Local. @return as above */
lrp_status lrp_json_template_read(const lrp_json_file *file, const lrp_json_steps *steps,
                                  lrp_rules *r);

#endif
