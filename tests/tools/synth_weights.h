/** @file tests/tools/synth_weights.h
 *  Weight files in the safetensors format, written as a stream. */
#ifndef LRP_TESTS_TOOLS_SYNTH_WEIGHTS_H
#define LRP_TESTS_TOOLS_SYNTH_WEIGHTS_H

#include "tests/tools/synth_arch.h"

/** Write model.safetensors, or o->shards files and model.safetensors.index.json, to o->out. Local.
 *  Needs some 64 MiB however large the model; the values depend neither on the number of files nor
 *  on the number of threads.
 *  @return LRP_OK; LRP_ERR_USAGE (more files than tensors); LRP_ERR_CREATE, LRP_ERR_PERM,
 *          LRP_ERR_IO, LRP_ERR_MEM */
lrp_status lrp_synth_weights_write(const lrp_synth_options *o, const lrp_synth_tensors *tensors);

#endif
