/** @file pipeline/protocol.h
 *  What scores depend on, as JSON in the evaluation ledger, and its comparison with a job. */
#ifndef LRP_PIPELINE_PROTOCOL_H
#define LRP_PIPELINE_PROTOCOL_H

#include <jansson.h>

#include "pipeline/study.h"

/** One task under one configuration: {"configuration", "task", "blocks"}. Local; a new reference or
 *  NULL when out of memory. */
json_t *lrp_protocol_pair(const lrp_study *study, int configuration, int task, int64_t n_blocks);

/** Whether stored (of lrp_protocol_pair) is that pair. Local. */
bool lrp_protocol_same_pair(const lrp_study *study, int configuration, int task,
                            const json_t *stored);

/** Protocol, model, data, ranks of all configurations of the study, and pairs (whose reference is
 *  taken). Local; a new reference or NULL when out of memory. */
json_t *lrp_protocol_covers(const lrp_study *study, json_t *pairs);

/** Whether the study may go on with a ledger that was planned for covers. Local.
 *  @return LRP_OK; LRP_ERR_JOB with the difference (evaluate.limit, max_length, a configuration of
 *          the same name with other ranks, ...); LRP_ERR_DATA if model, tokenizer or data changed
 */
lrp_status lrp_protocol_check(const lrp_study *study, const json_t *covers);

#endif
