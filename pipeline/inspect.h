/** @file pipeline/inspect.h
 *  lrpipe status, verify and inspect: what an output directory holds. Without MPI, for reading
 * only, also while a run writes. */
#ifndef LRP_PIPELINE_INSPECT_H
#define LRP_PIPELINE_INSPECT_H

#include "kernels/status.h"

/** Print what is done and what is running. Local. @return LRP_OK; LRP_ERR_ABSENT if output is not
 *  one; LRP_ERR_DATA for a damaged ledger; LRP_ERR_MEM; LRP_ERR_IO */
lrp_status lrp_inspect_status(const char *output);

/** Check the checksums of every record and all data. Local; reads everything.
 *  @return as lrp_inspect_status; LRP_ERR_DATA if anything does not agree: each is printed */
lrp_status lrp_inspect_verify(const char *output);

/** Print plans, provenance and every unit with its certificate. Local. */
lrp_status lrp_inspect(const char *output);

#endif
