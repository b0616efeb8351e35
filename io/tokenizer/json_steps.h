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

/** Follow the normalizer, the pre-tokenizer, the decoder. Local.
 *  @return LRP_OK; LRP_ERR_DATA for a step that is not known (named); LRP_ERR_MEM */
lrp_status lrp_json_normalizer_read(const lrp_json_file *file, lrp_json_slice value, lrp_rules *r);
lrp_status lrp_json_pre_tokenizer_read(const lrp_json_file *file, lrp_json_slice value,
                                       lrp_rules *r);
lrp_status lrp_json_decoder_read(const lrp_json_file *file, lrp_json_slice value, lrp_rules *r);

/** Follow the post-processor; r has its vocabulary. Local. @return as above */
lrp_status lrp_json_post_processor_read(const lrp_json_file *file, lrp_json_slice value,
                                        lrp_rules *r);

#endif
