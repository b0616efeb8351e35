/** @file pipeline/provenance.h
 *  Where results come from: what repeats them. */
#ifndef LRP_PIPELINE_PROVENANCE_H
#define LRP_PIPELINE_PROVENANCE_H

#include <jansson.h>

#include "pipeline/study.h"

/** Versions of the program and its libraries, BLAS kernel, command line, host, process ranks,
 *  threads, time, resolved job, model files as lrp_model_files. Local. A new reference, or NULL
 * when out of memory. No part of the environment but the Slurm job id is recorded. */
json_t *lrp_provenance(const lrp_study *study, const lrp_topology *topo, int argc, char **argv);

/** What is known at once of config.json and the weight files: [{"file": "config.json", "xxh3": "16
 *  hex digits"}, {"file": name, "bytes": n, "header_xxh3": "16 hex digits"}, ...]. The tensors'
 *  hashes are in model.json (pipeline/identity.h). Local. A new reference, or NULL. */
json_t *lrp_model_files(const lrp_study *study);

/** "16 hex digits" of an XXH3 as a JSON string. Local. A new reference, or NULL. */
json_t *lrp_json_hash(uint64_t xxh3);

#endif
