/** @file pipeline/efficiency_readings.h
 *  What has been measured of a job's configurations, and what is to be measured next:
 *  OUT/measurements.json.
 *
 *  A case is a batch size with a sequence length. Of every configuration in every case two phases
 *  are measured: prefill (all tokens of the batch at once) and decoding (steps of one token of each
 *  sequence). Samples are taken in rounds: what disturbs the machine for a while disturbs all
 *  configurations alike. */
#ifndef LRP_PIPELINE_EFFICIENCY_READINGS_H
#define LRP_PIPELINE_EFFICIENCY_READINGS_H

#include <jansson.h>
#include <stdbool.h>

#include "pipeline/job.h"
#include "pipeline/plan.h"

typedef enum { LRP_PREFILL, LRP_DECODE, LRP_PHASES } lrp_phase;

typedef struct {
  int64_t batch_size, sequence_length;
} lrp_case;

/** Samples of a phase: each the mean of some passes, or of some decoding steps. */
typedef struct {
  double *seconds, *joules; /* owned, room for as many as are asked for; joules NaN: not known */
  int64_t n;
} lrp_samples;

/** A configuration in a case. */
typedef struct {
  lrp_samples phase[LRP_PHASES];
  int64_t resident_weight_bytes, peak_memory_bytes; /* -1: not known */
  bool packed; /* dense linear maps were packed, not used as they lie in the files */
} lrp_reading;

typedef struct {
  const lrp_plan *plan; /* borrowed; energies resolved */
  lrp_case *cases;      /* owned: lengths within batch sizes, as the job lists them */
  int n_cases;
  int64_t repeats, new_tokens;
  int n_phases;          /* 1: no decoding */
  int *order;            /* owned: configurations of a round, dense ones first */
  lrp_reading *readings; /* owned: of configuration c and case k at c * n_cases + k */
  json_t *others;        /* owned: entries of the file that the job does not ask for */
} lrp_readings;

/** Nothing is measured yet. Local.
 *  @param decodes  whether the model generates: an encoder has no decoding
 *  @return LRP_OK, LRP_ERR_MEM: *out is zeroed */
lrp_status lrp_readings_create(const lrp_job *job, const lrp_plan *plan, bool decodes,
                               lrp_readings *out);
void lrp_readings_free(lrp_readings *readings);

/** A sample to be taken. */
typedef struct {
  int configuration, number_of_case;
  lrp_phase phase;
} lrp_turn;

/** The sample that is next: of those with the fewest samples the first one, by configuration (dense
 *  ones first), case and phase. So rounds go on where they were left, and what is new catches up.
 *  Local. @return false: none is missing */
bool lrp_readings_next(const lrp_readings *readings, lrp_turn *turn);

/** Samples that the job asks for, and those of them that are there. Local. */
int64_t lrp_readings_total(const lrp_readings *readings);
int64_t lrp_readings_done(const lrp_readings *readings);

/** Add the sample of turn, of which one is missing. Local. */
void lrp_readings_add(lrp_readings *readings, lrp_turn turn, double seconds, double joules);

/** As lrp_readings_create left it. Local. */
void lrp_readings_forget(lrp_readings *readings);

lrp_reading *lrp_reading_of(const lrp_readings *readings, int configuration, int number_of_case);

/** Whether nothing of a configuration is decomposed. Local. */
bool lrp_is_dense(const lrp_plan *plan, int configuration);

/** {"settings": ..., "measurements": [...]}, a new reference, or NULL. Local. settings is borrowed.
 */
json_t *lrp_readings_to_json(const lrp_readings *readings, json_t *settings);

/** Take over what file, made by lrp_readings_to_json, has of the job's configurations: entries with
 *  the same name and ranks. Samples beyond those asked for are kept in the file, but not used; so
 *  is everything else. Decoding of another number of new tokens is forgotten. Entries that are
 *  damaged count as none. Local.
 *  @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_readings_take(lrp_readings *readings, const json_t *file);

#endif
