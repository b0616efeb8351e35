#include "pipeline/efficiency_stage.h"

#include <stdlib.h>
#include <time.h>

#include "io/base/json_memory.h"
#include "kernels/log.h"
#include "pipeline/efficiency_file.h"
#include "pipeline/efficiency_readings.h"
#include "pipeline/efficiency_trial.h"
#include "pipeline/energy.h"
#include "pipeline/interval.h"
#include "pipeline/workload.h"

/* A sample is the mean of the passes until so much time is over: long for a clock, and for counters
 * of energy, which advance once per millisecond. */
static const double sample_s = 0.05;

/* Passes that take longer need none before them that is not timed, once one was made: what another
 * configuration left in the caches does not count. */
static const double warm_s = 0.5;

static const double write_every_s = 3.0;

/* For the first prediction of a pass, cautious. */
static const double flops_per_thread = 2e10;

/* What is known of a configuration in a case in this attempt. */
typedef struct {
  double pass_s[LRP_PHASES]; /* of the last pass; 0: none was made */
} memory;

typedef struct {
  const lrp_study *study;
  lrp_store *store;
  const lrp_topology *topo;
  lrp_control *control;
  /* On process rank 0. */
  lrp_readings readings;
  json_t *settings;
  lrp_energy *energy;
  lrp_trial *trial;
  memory *memories; /* owned, as the readings */
  double last_write;
  bool changed; /* since then */
} stage;

/* ---- files ----------------------------------------------------------------------------------- */

static lrp_status save(stage *s) {
  if (!s->changed) return LRP_OK;
  s->changed = false;
  const lrp_status st = lrp_measurements_write(s->study, &s->readings, s->settings);
  s->last_write = MPI_Wtime();
  return st;
}

/* What the samples that there are were taken with goes on to describe them. */
static void keep_settings(stage *s, const json_t *before) {
  json_object_update(s->settings, (json_t *)(uintptr_t)before);
}

/* Samples of other settings do not stand beside new ones; where none is missing, they stay: the
 * same command on another machine finds them complete. */
static lrp_status take_samples(stage *s, const json_t *file) {
  const json_t *before = json_object_get(file, "settings");
  char reason[LRP_SETTINGS_REASON] = "";
  const lrp_difference difference = lrp_settings_difference(before, s->settings, reason);
  lrp_status st = LRP_OK;
  if (difference != LRP_DIFFERENT_MEASUREMENT) st = lrp_readings_take(&s->readings, file);
  if (st != LRP_OK) return st;
  const bool complete = lrp_readings_done(&s->readings) == lrp_readings_total(&s->readings);
  if (difference == LRP_SAME_SETTINGS || (difference == LRP_DIFFERENT_MACHINE && complete)) {
    if (complete || !s->energy) keep_settings(s, before);
    return LRP_OK;
  }
  lrp_log("measure: measured anew: %s", reason);
  lrp_readings_forget(&s->readings);
  return LRP_OK;
}

/* Use what an earlier attempt has measured. */
static lrp_status take_file(stage *s) {
  json_t *file;
  lrp_status st = lrp_measurements_read(s->study, &file);
  if (st == LRP_ERR_DATA) {
    lrp_warn("measure: measurements.json is damaged; measured anew");
    lrp_failure_clear();
    st = LRP_OK;
  }
  if (st == LRP_OK && file) st = take_samples(s, file);
  json_decref(file);
  return lrp_json_checked(st);
}

/* What there is and what is missing. Process rank 0. */
static lrp_status open_readings(stage *s) {
  const lrp_study *study = s->study;
  const bool decodes = study->model.config.family != LRP_FAMILY_BERT;
  char reason[LRP_ENERGY_REASON];
  lrp_status st = lrp_readings_create(&study->job, &study->plan, decodes, &s->readings);
  if (st != LRP_OK) return st;
  const size_t n = (size_t)study->plan.n_configurations * (size_t)s->readings.n_cases;
  s->memories = calloc(n + 1, sizeof *s->memories);
  if (!s->memories) return lrp_fail_memory(n * sizeof *s->memories, "samples");
  st = lrp_energy_open(LRP_ENERGY_ROOT, &s->energy, reason);
  if (st != LRP_OK) return st;
  s->settings = lrp_measure_settings(study, s->topo->threads,
                                     s->energy ? lrp_energy_domains(s->energy) : NULL, reason);
  if (!s->settings) return lrp_json_checked(lrp_fail_memory(0, "the settings of measuring"));
  return take_file(s);
}

static void say_start(const stage *s, int64_t total, int64_t done) {
  const json_t *reason = json_object_get(s->settings, "energy_reason");
  const int others = s->topo->size - 1;
  lrp_log("measure: %lld of %lld samples to do: %d configurations, %d cases, %s; energy: %s",
          (long long)(total - done), (long long)total, s->readings.plan->n_configurations,
          s->readings.n_cases, s->readings.n_phases > 1 ? "prefill and decoding" : "prefill",
          s->energy                ? lrp_energy_domains(s->energy)
          : json_is_string(reason) ? json_string_value(reason)
                                   : "not available");
  if (others == 0) return;
  lrp_log(
      "measure: process rank 0 works with %d threads, the other %d sleep; to measure a whole node, "
      "start one process rank per node (mpirun --map-by node:PE=<cores>)",
      s->topo->threads, others);
}

/* ---- a sample -------------------------------------------------------------------------------- */

static memory *memory_of(const stage *s, lrp_turn turn) {
  return &s->memories[(int64_t)turn.configuration * s->readings.n_cases + turn.number_of_case];
}

/* Seconds of a pass: as long as the last one; before, by its operations. */
static double predict(const stage *s, lrp_turn turn, lrp_phase phase) {
  const lrp_case *one = &s->readings.cases[turn.number_of_case];
  const double known = memory_of(s, turn)->pass_s[phase];
  const double flops_per_token =
      2.0 * (double)lrp_config_linear_parameters(&s->study->model.config);
  const int64_t tokens = phase == LRP_PREFILL ? one->sequence_length : s->readings.new_tokens;
  if (known > 0.0) return known;
  return flops_per_token * (double)(tokens * one->batch_size) /
         (flops_per_thread * s->topo->threads);
}

/* A pass whose time does not count. */
static lrp_status pass(stage *s, lrp_turn turn, lrp_phase phase) {
  lrp_status st = lrp_stop_check(s->control->stop, predict(s, turn, phase));
  const double start = MPI_Wtime();
  if (st == LRP_OK) st = lrp_trial_pass(s->trial, phase);
  if (st == LRP_OK) memory_of(s, turn)->pass_s[phase] = MPI_Wtime() - start;
  return st;
}

/* Resident weights, and how much more there is at most, now that the weights have been touched. */
static lrp_status weigh(stage *s, lrp_turn turn) {
  lrp_reading *reading = lrp_reading_of(&s->readings, turn.configuration, turn.number_of_case);
  int64_t growth = -1;
  reading->packed = lrp_trial_is_packed(s->trial);
  reading->resident_weight_bytes = lrp_trial_weight_bytes(s->trial);
  if (reading->peak_memory_bytes >= 0) return LRP_OK;
  double seconds = predict(s, turn, LRP_PREFILL);
  if (s->readings.n_phases > 1) seconds += predict(s, turn, LRP_DECODE);
  lrp_status st = lrp_stop_check(s->control->stop, seconds);
  if (st == LRP_OK) st = lrp_trial_growth(s->trial, &growth);
  if (st == LRP_OK && growth >= 0) {
    reading->peak_memory_bytes = reading->resident_weight_bytes + growth;
  }
  return st;
}

/* Bring weights and batch to where a sample finds them in use. */
static lrp_status warm_up(stage *s, lrp_turn turn) {
  const memory *m = memory_of(s, turn);
  const bool decodes = turn.phase == LRP_DECODE, first = m->pass_s[LRP_PREFILL] <= 0.0;
  const bool fill = first || (decodes && !lrp_trial_is_filled(s->trial));
  lrp_status st = fill ? pass(s, turn, LRP_PREFILL) : LRP_OK;
  if (st == LRP_OK && first) st = weigh(s, turn);
  if (st != LRP_OK || (fill && !decodes)) return st;
  return m->pass_s[turn.phase] < warm_s ? pass(s, turn, turn.phase) : LRP_OK;
}

/* The mean of passes, or of decoding steps. */
static lrp_status time_passes(stage *s, lrp_turn turn) {
  const double per_pass = turn.phase == LRP_DECODE ? (double)s->readings.new_tokens : 1.0;
  lrp_status st = lrp_stop_check(s->control->stop, predict(s, turn, turn.phase) + sample_s);
  if (st != LRP_OK) return st;
  int64_t passes = 0;
  const double joules = lrp_energy_joules(s->energy), start = MPI_Wtime();
  double seconds = 0.0;
  do {
    st = lrp_trial_pass(s->trial, turn.phase);
    seconds = MPI_Wtime() - start;
    passes++;
  } while (st == LRP_OK && seconds < sample_s);
  const double n = per_pass * (double)passes;
  if (st != LRP_OK) return st;
  memory_of(s, turn)->pass_s[turn.phase] = seconds / (double)passes;
  lrp_readings_add(&s->readings, turn, seconds / n, (lrp_energy_joules(s->energy) - joules) / n);
  s->changed = true;
  return LRP_OK;
}

static const char *name_of(const stage *s, lrp_turn turn) {
  return s->study->plan.configurations[turn.configuration].name;
}

/* A line when the last sample that is asked for is there. */
static void say_sample(const stage *s, lrp_turn turn) {
  const lrp_case *one = &s->readings.cases[turn.number_of_case];
  const lrp_samples *samples =
      &lrp_reading_of(&s->readings, turn.configuration, turn.number_of_case)->phase[turn.phase];
  lrp_interval seconds;
  if (samples->n < s->readings.repeats) return;
  if (lrp_interval_of(samples->seconds, samples->n, &seconds) != LRP_OK) {
    lrp_failure_clear(); /* the report will say it */
    return;
  }
  lrp_progress_line(s->control->progress, -1, "measured %s, %lld x %lld tokens: %s %.4g s%s",
                    name_of(s, turn), (long long)one->batch_size, (long long)one->sequence_length,
                    turn.phase == LRP_PREFILL ? "prefill" : "decoding", seconds.median,
                    turn.phase == LRP_PREFILL ? "" : " a step");
}

static lrp_status take_sample(stage *s, lrp_turn turn) {
  lrp_watch_phase(s->control->watch, "measure configuration %s", name_of(s, turn));
  lrp_progress_work(s->control->progress, "measure %s", name_of(s, turn));
  lrp_status st =
      lrp_trial_prepare(s->trial, turn.configuration, &s->readings.cases[turn.number_of_case]);
  if (st == LRP_OK) st = warm_up(s, turn);
  if (st == LRP_OK) st = time_passes(s, turn);
  if (st != LRP_OK) return st;
  lrp_progress_advance(s->control->progress, 1, 0.0);
  say_sample(s, turn);
  const bool wanted = lrp_stop_checkpoint(s->control->stop);
  return wanted || MPI_Wtime() - s->last_write >= write_every_s ? save(s) : LRP_OK;
}

/* Before hours of small cases: whether the large ones will have room. */
static lrp_status check_memory(const stage *s) {
  lrp_status st = LRP_OK;
  for (int k = 0; st == LRP_OK && k < s->readings.n_cases; k++) {
    st = lrp_trial_fits(s->trial, &s->readings.cases[k]);
  }
  return st;
}

/* All samples that are missing. Process rank 0. */
static lrp_status measure(stage *s) {
  lrp_turn turn;
  lrp_status st = check_memory(s);
  s->last_write = MPI_Wtime();
  lrp_stop_stage(s->control->stop, 1.0); /* costs are seconds: phases differ too much for a mean */
  while (st == LRP_OK && lrp_readings_next(&s->readings, &turn)) st = take_sample(s, turn);
  const lrp_status saved = save(s); /* what is done stays done */
  return st > saved ? st : saved;
}

/* ---- the others ------------------------------------------------------------------------------ */

/* Wait without taking a core from process rank 0. A signal may come to any process rank: it is told
 * by a file, which process rank 0 looks for. */
static void sleep_through(const stage *s, MPI_Request *end) {
  const struct timespec nap = {.tv_nsec = 20000000};
  lrp_status st = LRP_OK;
  int over = 0;
  lrp_watch_wait(s->control->watch, "measure: wait for process rank 0");
  for (MPI_Test(end, &over, MPI_STATUS_IGNORE); !over; MPI_Test(end, &over, MPI_STATUS_IGNORE)) {
    nanosleep(&nap, NULL);
    if (st == LRP_OK) st = lrp_stop_check(s->control->stop, 0.0);
  }
}

/* The status of process rank 0, which alone can have failed. Collective. */
static lrp_status agree(const stage *s, lrp_status mine) {
  int code = mine;
  MPI_Bcast(&code, 1, MPI_INT, 0, s->topo->comm);
  if (code == LRP_OK && s->topo->me != 0) lrp_failure_clear(); /* asked to stop when all was done */
  return (lrp_status)code;
}

static lrp_status run(stage *s) {
  MPI_Request end;
  lrp_status st = LRP_OK;
  if (s->topo->me == 0) {
    st = measure(s);
    MPI_Ibarrier(s->topo->comm, &end);
    lrp_watch_wait(s->control->watch, "measure: end");
    MPI_Wait(&end, MPI_STATUS_IGNORE);
  } else {
    MPI_Ibarrier(s->topo->comm, &end);
    sleep_through(s, &end);
  }
  return agree(s, st);
}

/* ---- the stage ------------------------------------------------------------------------------- */

/* Samples that there are and shall be. Collective. */
static lrp_status count(stage *s, int64_t *total, int64_t *done) {
  long long n[2] = {0, 0};
  lrp_status st = s->topo->me == 0 ? open_readings(s) : LRP_OK;
  st = lrp_agree(st, s->topo->comm);
  if (st != LRP_OK) return st;
  if (s->topo->me == 0) {
    n[0] = lrp_readings_total(&s->readings);
    n[1] = lrp_readings_done(&s->readings);
  }
  MPI_Bcast(n, 2, MPI_LONG_LONG, 0, s->topo->comm);
  *total = n[0];
  *done = n[1];
  if (s->topo->me == 0 && *done < *total) say_start(s, *total, *done);
  return LRP_OK;
}

static void release(stage *s) {
  lrp_trial_close(&s->trial);
  lrp_energy_close(&s->energy);
  if (s->readings.plan) lrp_readings_free(&s->readings);
  json_decref(s->settings);
  free(s->memories);
}

lrp_status lrp_efficiency_stage(const lrp_study *study, lrp_store *store, const lrp_topology *topo,
                                lrp_control *control, bool *worked) {
  stage s = {.study = study, .store = store, .topo = topo, .control = control};
  int64_t total = 0, done = 0;
  *worked = false;
  lrp_watch_phase(control->watch, "measure");
  lrp_status st = count(&s, &total, &done);
  if (st == LRP_OK && done < total) {
    st = lrp_trial_open(study, store, topo, study->job.measure.new_tokens, &s.trial);
    if (st == LRP_OK && lrp_trial_is_spread(s.trial)) {
      lrp_warn("measure: not measured: the layers of the model are spread over several nodes");
    } else if (st == LRP_OK) {
      *worked = true;
      const lrp_progress_stage items = {
          .name = "measure", .items = "samples", .total = total, .done = done};
      lrp_progress_begin(control->progress, &items);
      st = run(&s);
      if (topo->me == 0) lrp_progress_end(control->progress);
    }
  }
  release(&s);
  return st;
}
